"""Files that people send: imports and pictures beside a shop that goes on selling."""

import http.client
import io
import os
import statistics
import threading
import time
import uuid

import pytest
from PIL import Image

from tillhook.testing.concurrency import many_at_once

pytestmark = pytest.mark.xdist_group("faults")
BOUNDARY = "a-boundary-that-no-file-holds"
ROWS = int(os.environ.get("ROWS", "2000"))


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
    lines = (f"N{n},Product {n},1.50,Group {n % 20},C{n},{n % 7}" for n in range(rows))
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


def test_sales_go_on_while_files_are_read(start_shop, make, tokens):
    product = make.product(stock={make.main: 100_000})
    shop = start_shop(workers=1, threads=8)
    path = f"/api/products/import?warehouse={make.main}"
    content = goods(ROWS)
    began = time.time()
    (status, answer), waits = sell_meanwhile(
        shop, make, product, lambda: send_file(shop, tokens, f"{path}&dry_run=true", content)
    )
    print("dry", time.time() - began, len(waits), statistics.median(waits), max(waits))
    assert status == 200, answer
    began = time.time()
    (status, answer), waits = sell_meanwhile(shop, make, product, lambda: send_file(shop, tokens, path, content))
    print("real", time.time() - began, len(waits), statistics.median(waits), max(waits))
    assert status == 200, answer
    began = time.time()
    pictures = f"/api/products/{product.id}/images"
    done, waits = sell_meanwhile(
        shop, make, product, lambda: many_at_once(3, lambda n: send_file(shop, tokens, pictures, picture(3900 + n)))
    )
    print("pics", time.time() - began, len(waits), statistics.median(waits), max(waits), [d[0] for d in done])
