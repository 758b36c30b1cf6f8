"""SQLite's one writer: who keeps it stops neither reading nor the probes, and who waits is told in time."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from tillhook.server.verify import verify

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.parametrize("engine_name", ["sqlite"])]

# Takes the lock as every process of the shop does, and stops with it.
_HOLD = """
import fcntl, os, signal, sys, time
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
print(os.getpid(), time.monotonic(), file=file, flush=True)
print("held", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
"""


def sale(make, product):
    items = [{"product_id": product["id"], "quantity": "1"}]
    where = {"channel": "counter", "warehouse": make.main, "payment_method": "cash"}
    return {**where, "external_id": str(uuid.uuid4()), "items": items}


def send(shop, method, path, body=None, as_="admin"):
    """Return the status, the headers, the answer and the seconds it took."""
    connection = shop.connect()
    try:
        began = time.monotonic()
        headers = {**shop._tokens.headers(as_), "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read()), time.monotonic() - began
    finally:
        connection.close()


def test_a_stopped_process_with_the_lock_stops_no_reader_and_writers_are_told(start_shop, make, settings):
    product = make.product(stock=10)
    shop = start_shop(workers=2, threads=4, TILLHOOK_LOCK_TIMEOUT_S="1")
    path = settings.database_url.removeprefix("sqlite:///") + ".writer"
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, path], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        answers = []
        requests = [
            ("/api/sales", sale(make, product)),
            ("/api/sales", sale(make, product)),
            ("/api/parties", {"name": "Ann"}),
        ]
        threads = [
            threading.Thread(target=lambda path=path, body=body: answers.append(send(shop, "POST", path, body)))
            for path, body in requests
        ]
        for thread in threads:
            thread.start()
        for path in ("/healthz", "/readyz", "/api/sales", f"/api/products/{product['id']}"):
            status, _, answer, took_s = send(shop, "GET", path)
            assert (path, status) == (path, 200)
            assert took_s < 0.9
            if path == "/readyz":
                assert answer["writer"]["pid"] == holder.pid
        for thread in threads:
            thread.join()
        for status, headers, answer, took_s in answers:
            assert (status, answer["code"], headers["Retry-After"]) == (503, "database-busy", "5")
            assert f"Process {holder.pid} has been writing for" in answer["detail"]
            assert took_s < 3
        holder.send_signal(signal.SIGCONT)
        holder.wait(10)
        assert send(shop, "POST", *requests[0])[0] == 201
        # The worker may write just now.
        assert (send(shop, "GET", "/readyz")[2]["writer"] or {}).get("pid") != holder.pid
        assert len(send(shop, "GET", "/api/sales")[2]["items"]) == 1
    finally:
        holder.kill()
        holder.communicate()


class TestFullDisk:
    """The books on a disk of their own, of three megabytes more than they need."""

    @pytest.fixture
    def disk(self, tmp_path, database_url):
        folder = tmp_path / "disk"
        folder.mkdir()
        size = Path(database_url.removeprefix("sqlite:///")).stat().st_size + 3_000_000
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", os.fspath(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no disk can be mounted here")
        yield folder
        subprocess.run(["umount", "--lazy", os.fspath(folder)], check=True)

    @pytest.fixture
    def settings(self, settings, disk):
        shutil.copy(settings.database_url.removeprefix("sqlite:///"), disk / "books.db")
        return replace(settings, database_url=f"sqlite:///{disk}/books.db")

    def test_nothing_is_half_done_and_reading_goes_on(self, client, make, runtime, disk):
        product = make.product(stock=100_000)
        assert client.post("/api/sales", sale(make, product)).status_code == 201
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))
        posted = 1
        for _ in range(300):
            last = sale(make, product)
            answer = client.post("/api/sales", last)
            if answer.status_code != 201:
                break
            posted += 1
        assert (answer.status_code, answer.json["code"]) == (503, "database-full")
        assert "Nothing was changed" in answer.json["detail"]
        assert answer.headers["Retry-After"]
        assert client.get("/api/sales?count=true").json["count"] == posted
        assert client.get("/readyz").status_code == 200
        filler.unlink()
        assert client.post("/api/sales", last).status_code == 201
        assert client.get("/api/sales?count=true").json["count"] == posted + 1
        assert not [name for name, differences in verify(runtime) if differences]
