"""A shop that is killed in the middle of selling, and a backup in its place."""

import contextlib
import http.client
import json
import shutil
import signal
import sqlite3
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from tillhook.cli.backup import fault_of
from tillhook.cli.main import cli
from tillhook.errors import StartupError
from tillhook.testing.people import PASSWORD

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.parametrize("engine_name", ["sqlite"])]
CRASHES = 4


@pytest.fixture
def run(settings, monkeypatch):
    """Run one command on a database of the test."""

    def run(database, *arguments):
        monkeypatch.setenv("TILLHOOK_DATABASE_URL", f"sqlite:///{database}")
        monkeypatch.setenv("TILLHOOK_DATA_DIR", str(database.parent))
        monkeypatch.setenv("TILLHOOK_SECRET", settings.secret)
        monkeypatch.setenv("TILLHOOK_MODULES", ",".join(settings.modules))
        return CliRunner().invoke(cli, [str(each) for each in arguments])

    return run


@contextlib.contextmanager
def selling(shop, sale, threads=3):
    """Sell as fast as it goes, until the end."""
    end = threading.Event()

    def sell():
        while not end.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                shop.post("/api/sales", sale)

    running = [threading.Thread(target=sell) for _ in range(threads)]
    for each in running:
        each.start()
    try:
        yield
    finally:
        end.set()
        for each in running:
            each.join()


def left_behind(shop, database, folder):
    """Copy what a kill of every process at this moment leaves on the disk."""
    processes = [shop.master, *shop.master.children(recursive=True)]
    for each in processes:
        each.send_signal(signal.SIGSTOP)
    try:
        folder.mkdir()
        for suffix in ("", "-wal", "-shm", ".keys", ".writer"):
            shutil.copyfile(f"{database}{suffix}", folder / f"tillhook.db{suffix}")
    finally:
        for each in reversed(processes):
            each.send_signal(signal.SIGCONT)
    return folder / "tillhook.db"


def count(database):
    with contextlib.closing(sqlite3.connect(database)) as opened:
        return opened.execute("SELECT COUNT(*) FROM sale").fetchone()[0]


def test_a_backup_in_the_place_of_a_crashed_shop(start_shop, make, settings, run, tmp_path):
    product = make.product(stock=100_000)
    sale = {"channel": "counter", "warehouse": make.main, "payment_method": "cash"}
    sale["items"] = [{"product_id": product["id"], "quantity": "1"}]
    database = Path(settings.database_url.removeprefix("sqlite:///"))
    shop = start_shop()
    crashed = []
    with selling(shop, sale):
        time.sleep(0.3)
        # While it sells.
        assert run(database, "backup", tmp_path / "shop.tar").exit_code == 0
        in_use = run(database, "restore", tmp_path / "shop.tar", "--yes")
        for number in range(CRASHES):
            time.sleep(0.3)
            crashed.append(left_behind(shop, database, tmp_path / f"crash{number}"))
    assert isinstance(in_use.exception, StartupError) and "in use" in str(in_use.exception)
    damaged = 0
    for number, each in enumerate(crashed):
        naive = tmp_path / f"naive{number}" / "tillhook.db"
        shutil.copytree(each.parent, naive.parent)
        assert run(each, "restore", tmp_path / "shop.tar", "--yes").exit_code == 0
        [aside] = each.parent.glob("*.before-restore-*Z")
        assert not fault_of(each)
        assert run(each, "verify").exit_code == 0
        assert 0 < count(each) < count(aside)
        # What everybody did before there was the command.
        shutil.copyfile(each, naive)
        damaged += bool(fault_of(naive)) or count(naive) != count(each)
    assert damaged
    shop.stop()
    assert sold_by_password(start_shop(TILLHOOK_DATABASE_URL=f"sqlite:///{crashed[-1]}"), sale) == [401, 200, 201]


def sold_by_password(shop, sale):
    """Try the old log-in, log in anew, sell; return the statuses."""
    old = shop.post("/api/sales", sale)[0]
    status, answer = shop.post("/api/auth/login", {"email": "cashier@test.com", "password": PASSWORD}, as_=None)
    request = urllib.request.Request(f"{shop.url}/api/sales", json.dumps(sale).encode())
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {answer['access_token']}")
    with urllib.request.urlopen(request, timeout=30) as sold:
        return [old, status, sold.status]
