"""``tillhook backup`` and ``tillhook restore``, without a server; with one: ``tests/faults/test_restore.py``."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from tillhook.catalogue.images import path_of
from tillhook.cli.main import cli
from tillhook.cli.restore import JUMP
from tillhook.errors import StartupError

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("engine_name", ["sqlite"])]
LIVE = ("", "-wal", "-shm", ".keys", ".writer")


@pytest.fixture
def database(settings):
    return Path(settings.database_url.removeprefix("sqlite:///"))


@pytest.fixture
def run(settings, monkeypatch, tmp_path):
    """Run one command on the test's database, or on ``of``'s, and show what went wrong."""

    def run(*arguments, of=None, **options):
        url = settings.database_url if of is None else f"sqlite:///{of}"
        monkeypatch.setenv("TILLHOOK_DATABASE_URL", url)
        monkeypatch.setenv("TILLHOOK_DATA_DIR", str(settings.data_dir if of is None else of.parent))
        monkeypatch.setenv("TILLHOOK_MODULES", ",".join(settings.modules))
        return CliRunner().invoke(cli, [str(each) for each in arguments], **options)

    return run


@pytest.fixture
def crashed(database, tmp_path):
    """``crashed("name")`` returns a shop as it is left when everything is killed now: the log beside the database."""

    def crashed(name):
        folder = tmp_path / name
        folder.mkdir()
        for each in LIVE:
            if Path(f"{database}{each}").exists():
                shutil.copyfile(f"{database}{each}", folder / f"tillhook.db{each}")
        assert (folder / "tillhook.db-wal").stat().st_size
        return folder / "tillhook.db"

    return crashed


def rows(database, statement):
    opened = sqlite3.connect(database)
    try:
        return opened.execute(statement).fetchall()
    finally:
        opened.close()


def sales(database):
    return [key for (key,) in rows(database, "SELECT id FROM sale ORDER BY id")]


@pytest.fixture
def backed_up(run, make, tmp_path):
    """A backup with one sale in it; ``make`` goes on selling."""
    product = make.product(stock=9)
    sold = make.sale([(product, 1)])["id"]
    done = run("backup", tmp_path / "shop.tar")
    assert done.exit_code == 0, done.output
    return tmp_path / "shop.tar", product, sold


def test_what_was_posted_since_is_gone_and_kept_aside_with_its_log(run, make, backed_up, crashed):
    file, product, sold = backed_up
    lost = make.sale([(product, 2)])["id"]
    shop = crashed("shop")
    done = run("restore", file, "--yes", of=shop)
    assert done.exit_code == 0, done.output
    assert run("verify", of=shop).exit_code == 0
    assert sales(shop) == [sold]
    [aside] = shop.parent.glob("*.before-restore-*Z")
    assert str(aside) in done.output
    assert sales(aside) == [sold, lost]
    left = {path.name for path in shop.parent.iterdir()} - {aside.name}
    assert left <= {f"tillhook.db{each}" for each in LIVE} | {"secret"}
    # It was a mistake.
    assert run("restore", aside, "--yes", "--discard", of=shop).exit_code == 0
    assert sales(shop) == [sold, lost]


def test_a_damaged_database_gives_way_too_and_is_kept_as_it_is(run, backed_up, crashed):
    file, _, sold = backed_up
    shop = crashed("shop")
    shop.write_bytes(b"x" * 10_000)
    shop.chmod(0o640)
    log = Path(f"{shop}-wal").read_bytes()
    assert run("restore", file, "--yes", of=shop).exit_code == 0
    assert sales(shop) == [sold]
    assert shop.stat().st_mode & 0o777 == 0o640
    [aside] = shop.parent.glob("*.before-restore-*Z")
    assert (aside.read_bytes(), Path(f"{aside}-wal").read_bytes()) == (b"x" * 10_000, log)


def test_behind_a_link_the_file_itself_is_replaced(run, backed_up, crashed, tmp_path):
    shop = crashed("shop")
    (tmp_path / "link").mkdir()
    link = tmp_path / "link" / "tillhook.db"
    link.symlink_to(shop)
    assert run("restore", backed_up[0], "--yes", of=link).exit_code == 0
    assert link.is_symlink() and len(list(shop.parent.glob("*.before-restore-*Z"))) == 1
    assert sales(shop) == sales(link) == [backed_up[2]]


def test_log_ins_end_and_numbers_go_on_above_those_that_were_given_out(
    run, make, client, runtime, backed_up, crashed, settings
):
    file, product, _ = backed_up
    last_seen = client.get("/api/events").json["last_event_id"]
    lost = make.sale([(product, 2)])["id"]
    last_seen = max(last_seen, client.get("/api/events", params={"after": last_seen}).json["last_event_id"])
    shop = crashed("shop")
    assert run("restore", file, "--yes", of=shop).exit_code == 0
    assert rows(shop, "SELECT DISTINCT revoked_reason FROM session_family") == [("restore",)]
    [(seq, name)] = rows(shop, f"SELECT seq, name FROM outbox WHERE seq > {last_seen}")
    assert seq >= JUMP and name == "platform:database-restored"
    # The key of the sale that is gone is in the file of keys, which stays.
    assert f'"sale":{lost}' in Path(f"{shop}.keys").read_text().replace(" ", "")


def test_everything_is_in_one_file_and_goes_to_another_machine(run, make, settings, backed_up, tmp_path):
    _, _, sold = backed_up
    picture = path_of(settings.data_dir, "ab" * 32)
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"a picture")
    (picture.parent / ".half").write_bytes(b"just being written")
    (settings.data_dir / "secret").write_text("s" * 64)
    assert run("backup", tmp_path / "all.tar").exit_code == 0
    assert (tmp_path / "all.tar").stat().st_mode & 0o777 == 0o600
    shop = tmp_path / "elsewhere" / "tillhook.db"
    done = run("restore", tmp_path / "all.tar", "--yes", of=shop)
    assert done.exit_code == 0, done.output
    assert sales(shop) == [sold]
    assert path_of(shop.parent, "ab" * 32).read_bytes() == b"a picture"
    assert (shop.parent / "secret").read_text() == "s" * 64
    assert sorted(path.name for path in shop.parent.iterdir()) == ["images", "secret", "tillhook.db"]


def test_a_plain_copy_of_the_database_will_do(run, make, runtime, database, backed_up, crashed, tmp_path):
    _, product, sold = backed_up
    copy = sqlite3.connect(tmp_path / "plain.db")
    with sqlite3.connect(database) as opened:
        opened.backup(copy)
    copy.close()
    make.sale([(product, 2)])
    shop = crashed("shop")
    assert run("restore", tmp_path / "plain.db", "--yes", "--discard", of=shop).exit_code == 0
    assert sales(shop) == [sold]
    assert not list(shop.parent.glob("*.before-restore*"))


def test_nothing_is_changed_by_what_is_no_whole_backup(run, backed_up, crashed, tmp_path):
    file, _, _ = backed_up
    shop = crashed("shop")
    before = {path: path.read_bytes() for path in shop.parent.iterdir()}
    with tarfile.open(file) as archive:
        whole = archive.extractfile("tillhook.db").read()
    torn = bytearray(whole)
    torn[4096 * 4 : 4096 * 40] = os.urandom(4096 * 36)
    cases = {"torn.db": bytes(torn), "short.db": whole[: len(whole) // 2], "text": b"hello", "empty": b""}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "logged.db").write_bytes(whole)
    (tmp_path / "logged.db-wal").write_bytes(b"x")
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE a (b)").connection.close()
    with tarfile.open(tmp_path / "other.tar", "w") as archive:
        archive.add(tmp_path / "text", "tillhook.txt")
    for name in (*cases, "logged.db", "other.db", "other.tar"):
        done = run("restore", tmp_path / name, "--yes", of=shop)
        assert isinstance(done.exception, StartupError), (name, done.output)
        after = {path: path.read_bytes() for path in shop.parent.iterdir() if path.name != "secret"}
        assert after == before, name
    itself = run("restore", shop, "--yes", of=shop)
    assert isinstance(itself.exception, StartupError) and "itself" in str(itself.exception)


def test_books_that_do_not_add_up_are_taken_only_when_told_to(run, runtime, make, backed_up, crashed, tmp_path):
    with runtime.database.unit_of_work() as session:
        session.execute(text("UPDATE stock_level SET on_hand = on_hand + 10000"))
    assert run("backup", tmp_path / "wrong.tar").exit_code == 0
    shop = crashed("shop")
    refused = run("restore", tmp_path / "wrong.tar", "--yes", of=shop)
    assert isinstance(refused.exception, StartupError) and "stock levels" in refused.output
    assert not list(shop.parent.glob("*.before-restore*"))
    assert run("restore", tmp_path / "wrong.tar", "--yes", "--despite-differences", of=shop).exit_code == 0


def test_it_asks_before(run, backed_up, crashed):
    shop = crashed("shop")
    asked = run("restore", backed_up[0], of=shop, input="n\n")
    assert asked.exit_code == 1 and "is lost" in asked.output
    assert not list(shop.parent.glob("*.before-restore*"))


def test_nobody_may_have_it_open(run, runtime, backed_up):
    with runtime.database.connect():
        pass  # stays in the pool, idle
    # In a process of its own: within one, nobody keeps SQLite's locks from itself.
    command = [sys.executable, "-m", "tillhook", "restore", str(backed_up[0]), "--yes"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, "is in use" in done.stderr) == (2, True), done


def test_a_backup_overwrites_nothing_and_needs_a_database(run, backed_up, tmp_path):
    again = run("backup", backed_up[0])
    assert isinstance(again.exception, StartupError) and "there already" in str(again.exception)
    none = run("backup", tmp_path / "none.tar", of=tmp_path / "nowhere" / "tillhook.db")
    assert isinstance(none.exception, StartupError)
    assert not (tmp_path / "none.tar").exists()


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_with_postgresql_it_says_what_to_run(run, backed_up, tmp_path, monkeypatch, command):
    file = backed_up[0] if command == "restore" else tmp_path / "new.tar"
    monkeypatch.setenv("TILLHOOK_DATABASE_URL", "postgresql://shop@localhost/shop")
    refused = CliRunner().invoke(cli, [command, str(file)])
    assert isinstance(refused.exception, StartupError) and "pg_" in str(refused.exception)
