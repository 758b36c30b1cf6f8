"""Files that people send: imports and pictures beside a shop that goes on selling."""

import contextlib
import http.client
import io
import json
import threading
import time
import uuid

import pytest
from PIL import Image
from sqlalchemy import select, update

from tillhook.catalogue.models import ProductImport
from tillhook.db import utc_now
from tillhook.testing.concurrency import many_at_once

pytestmark = pytest.mark.xdist_group("faults")
BOUNDARY = "a-boundary-that-no-file-holds"


def send_file(shop, tokens, path, content, **headers):
    """Return status and body of a form with one file."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'.encode()
    body = head + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    connection = http.client.HTTPConnection("127.0.0.1", shop.port, timeout=600)
    try:
        sent = {**tokens.headers("admin"), "Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **headers}
        connection.request("POST", path, body, sent)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def goods(rows):
    lines = (f"N{n},Product {n},1.50,Group {n % 20},C{n},1" for n in range(rows))
    return "\n".join(("sku,name,price,category,barcode,stock", *lines)).encode()


def picture(side=3900):
    file = io.BytesIO()
    shade = Image.linear_gradient("L").resize((side, side))
    Image.merge("RGB", [shade, shade.transpose(0), shade.transpose(1)]).save(file, "PNG", compress_level=1)
    return file.getvalue()


def sale(shop, make, product):
    """Sell one piece; return the status and how long it took, in seconds."""
    body = {
        "external_id": str(uuid.uuid4()),
        "channel": "pos",
        "warehouse": make.main,
        "payment_method": "cash",
        "items": [{"product_id": product.id, "quantity": "1"}],
    }
    began = time.monotonic()
    status, _ = shop.request("POST", "/api/sales", body, as_="cashier")
    return status, time.monotonic() - began


def sell_meanwhile(shop, make, product, work):
    """Sell while ``work()`` goes on in another thread; return what it returned and how long each sale took."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    waits = []
    while thread.is_alive():
        status, seconds = sale(shop, make, product)
        assert status == 201
        waits.append(seconds)
        time.sleep(0.005)
    thread.join()
    return results[0], waits


def test_sales_go_on_while_files_come(start_shop, make, tokens):
    product = make.product(stock={make.main: 100_000})
    shop = start_shop(workers=1, threads=8)
    path = f"/api/products/import?warehouse={make.main}"
    pictures = f"/api/products/{product.id}/images"
    works = (
        lambda: [send_file(shop, tokens, f"{path}&dry_run=true", goods(600))],
        lambda: [send_file(shop, tokens, path, goods(600))],
        lambda: many_at_once(3, lambda number: send_file(shop, tokens, pictures, picture(2_000 + number))),
    )
    for work, status in zip(works, (200, 200, 201), strict=True):
        answers, waits = sell_meanwhile(shop, make, product, work)
        assert {each[0] for each in answers} == {status}, answers
        # Sales come between the parts of an import: none waits for the whole of it.
        assert len(waits) > 3
        assert max(waits) < 5


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_an_import_that_is_killed_goes_on(start_shop, make, tokens, runtime):
    shop = start_shop(workers=1, threads=4)
    path, content = f"/api/products/import?warehouse={make.main}", goods(1_000)
    answers = []

    def send():
        with contextlib.suppress(OSError, http.client.HTTPException):
            answers.append(send_file(shop, tokens, path, content))

    begun = threading.Thread(target=send)
    begun.start()
    while not progress(runtime):
        time.sleep(0.02)
    shop.kill_worker()
    begun.join()
    assert not answers
    done = progress(runtime)
    assert 0 < done < 1_000
    status, answer = send_file(shop, tokens, path, content)
    assert (status, json.loads(answer)["code"]) == (409, "import-running")
    with runtime.unit_of_work() as session:  # as after two minutes
        session.execute(update(ProductImport).values(held_until=utc_now()))
    status, answer = send_file(shop, tokens, path, content)
    result = json.loads(answer)
    assert (status, result["created"], result["stock_lines"]) == (200, 1_000, 1_000)
    assert make.stock(find(shop, "N0")) == 1


def progress(runtime):
    """Return how many products the import that is going on has written."""
    with runtime.unit_of_work(write=False) as session:
        return session.scalar(select(ProductImport.products_done)) or 0


def find(shop, sku):
    return shop.request("GET", f"/api/products?sku={sku}")[1]["items"][0]["id"]
