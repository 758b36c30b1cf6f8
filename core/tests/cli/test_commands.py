"""The command line, without a server."""

import json
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta

import click
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from tillhook.cli.demo import create_demo_data, is_demo
from tillhook.cli.main import cli, main
from tillhook.db import utc_now
from tillhook.errors import StartupError
from tillhook.events import record
from tillhook.events.models import ConsumerCursor
from tillhook.hooks import DemoData
from tillhook.server.building import build_runtime
from tillhook.server.models import JobTurn
from tillhook.server.verify import repairable
from tillhook.testing.plugins import write_plugin
from tillhook.testing.template import environment_of


@pytest.fixture
def run(settings, monkeypatch):
    """Run one command on the test's database."""
    monkeypatch.setenv("TILLHOOK_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("TILLHOOK_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("TILLHOOK_SECRET", settings.secret)
    monkeypatch.setenv("TILLHOOK_MODULES", ",".join(settings.modules))

    def run(*arguments, **options):
        return CliRunner().invoke(cli, arguments, **options)

    return run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of installed plugins."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name, module in list(sys.modules.items()):
        if str(folder) in (getattr(module, "__file__", None) or ""):
            del sys.modules[name]


def test_migrating_again_changes_nothing(run):
    done = run("migrate")
    assert done.exit_code == 0, done.output
    assert run("db", "current").exit_code == 0
    assert run("db", "check").output == "The tables are as the code wants them.\n"


def test_a_database_that_is_behind_fails_the_check(run, runtime):
    with runtime.database.unit_of_work() as session:
        session.execute(text("DELETE FROM alembic_version_tillhook"))
    assert run("db", "current").exit_code == 1
    with runtime.database.unit_of_work() as session:
        session.execute(text("ALTER TABLE party ADD COLUMN surplus INTEGER"))
    done = run("db", "check")
    assert (done.exit_code, "surplus" in done.output) == (1, True)


def test_a_broken_plugin_is_listed_with_its_traceback(run, folder):
    write_plugin(folder, "wreck", "import nothing_of_this_name")
    done = run("modules", "list")
    assert done.exit_code == 0, done.output
    assert "wreck" in done.output
    assert "No module named 'nothing_of_this_name'" in done.output


def test_modules_are_switched_when_no_variable_fixes_them(run, folder, monkeypatch):
    write_plugin(folder, "zebra", "")
    refused = run("modules", "disable", "zebra")
    assert isinstance(refused.exception, StartupError)
    monkeypatch.delenv("TILLHOOK_MODULES")
    assert (
        run("modules", "enable", "zebra").output
        == "zebra is enabled from the next start on; servers and workers that run stay as they are.\n"
    )
    assert run("modules", "disable", "zebra").exit_code == 0
    [line] = [line for line in run("modules", "list").output.splitlines() if line.startswith("zebra")]
    assert line.split() == ["zebra", "1.0", "disabled"]


_WATCHFUL = """
from tillhook import hookimpl
from tillhook.hooks import Consumer, Job


@hookimpl
def register_consumers():
    return [Consumer(name="zebra.watch", handle=print)]


@hookimpl
def register_jobs():
    return [Job(name="zebra.graze", every_s=86_400, run=print)]
"""


def test_who_is_enabled_gets_events_from_then_on_and_its_jobs_begin_anew(run, runtime, folder, monkeypatch):
    write_plugin(folder, "zebra", _WATCHFUL)
    monkeypatch.delenv("TILLHOOK_MODULES")
    with runtime.unit_of_work() as session:
        record(session, "inventory:low-stock-alert", {})
        session.add(JobTurn(name="zebra.graze", schedule="every 86400 s", next_at=utc_now() + timedelta(days=1)))
    assert run("modules", "enable", "zebra").exit_code == 0
    with runtime.unit_of_work() as session:
        assert session.get(ConsumerCursor, "zebra.watch").seq == 1
        assert session.get(JobTurn, "zebra.graze") is None


def test_verify_is_silent_about_sound_books_and_names_a_damaged_level(run, make, runtime):
    product = make.product(stock={make.main: 10})
    assert run("verify").exit_code == 0
    with runtime.database.unit_of_work() as session:
        session.execute(text("UPDATE stock_level SET on_hand = on_hand + 10000"))
    done = run("verify")
    assert done.exit_code == 1
    assert "stock levels" in done.output
    assert "11" in done.output and "10" in done.output
    assert run("verify", "--repair", input="n\n").exit_code == 1 and run("verify").exit_code == 1
    done = run("verify", "--repair", input="y\n")
    assert done.exit_code == 0 and "Set what levels have on hand" in done.output, done.output
    assert run("verify").exit_code == 0 and make.stock(product) == 10


def test_repairs_say_in_plain_words_what_they_do(runtime):
    for name, invariant in repairable(runtime).items():
        words = invariant.repair.__doc__.partition("\n")[0]
        assert words.endswith(".") and "`" not in words, name


def test_a_user_can_be_added_and_log_in(run, client):
    added = run("users", "add", "boss@example.com", "--password-stdin", input="correct horse battery\n")
    assert added.exit_code == 0, added.output
    assert "boss@example.com" in run("users", "list").output
    body = {"email": "boss@example.com", "password": "correct horse battery"}
    assert client.post("/api/auth/login", body, as_=None).status_code == 200


def test_demo_data_is_for_an_empty_database(run):
    refused = run("demo")
    assert isinstance(refused.exception, StartupError)
    assert "has users already" in str(refused.exception)


def test_demo_data_is_made_once_each_after_what_it_requires(runtime):
    made = []

    def data(name, *requires):
        return DemoData(name=name, create=lambda session: made.append(name), requires=requires)

    with runtime.unit_of_work() as session:
        for table in ("user_role", "user_warehouse", "session_family", "user_account"):
            session.execute(text(f"DELETE FROM {table}"))
    runtime.registry.demo_data = {"a": data("a", "c", "absent"), "b": data("b"), "c": data("c")}
    assert not is_demo(runtime)
    create_demo_data(runtime)
    assert made.index("c") < made.index("a")
    runtime.registry.demo_data["d"] = data("d")
    assert create_demo_data(runtime) == ["d"], "a plugin that came later"
    assert sorted(made) == ["a", "b", "c", "d"]
    runtime.registry.demo_data = {"x": data("x", "y"), "y": data("y", "x")}
    with pytest.raises(StartupError, match="demo data requires itself"):
        create_demo_data(runtime)


def test_servers_that_start_together_make_the_demo_data_once(runtime, settings):
    made, inside = [], threading.Event()

    def create(session):
        made.append(1)
        inside.set()
        time.sleep(0.3)  # the other one comes

    with runtime.unit_of_work() as session:
        session.execute(
            text("INSERT INTO setting (key, value, updated_at) VALUES ('demo.created', '[]', '2026-01-01T00:00:00Z')")
        )
    other = build_runtime(settings)
    for each in (runtime, other):
        each.registry.demo_data = {"goods": DemoData(name="goods", create=create)}
    thread = threading.Thread(target=create_demo_data, args=(other,))
    thread.start()
    assert inside.wait(10)
    assert create_demo_data(runtime) == []
    thread.join()
    other.dispose()
    assert made == [1]


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_demo_mode_does_not_leave_the_machine(runtime, settings):
    with runtime.unit_of_work() as session:
        session.execute(
            text("INSERT INTO setting (key, value, updated_at) VALUES ('demo.created', '[]', '2026-01-01T00:00:00Z')")
        )
    variables = {"TILLHOOK_HOST": "0.0.0.0", "TILLHOOK_PORT": "18999"}
    # A process of its own: serving takes standard output over, for good.
    refused = subprocess.run(
        [sys.executable, "-m", "tillhook", "serve"],
        env={**os.environ, **environment_of(settings), **variables},
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 2
    assert "demo mode does not listen on 0.0.0.0" in refused.stderr


def test_events_are_shown_newest_last(run, make):
    make.product(name="Tea")
    make.product(name="Rye bread")
    lines = [json.loads(line) for line in run("events", "show", "--last", "1000").output.splitlines()]
    assert lines
    assert [line["id"] for line in lines] == sorted(line["id"] for line in lines)
    name = lines[0]["name"]
    found = run("events", "show", "--name", name).output.splitlines()
    assert {json.loads(line)["name"] for line in found} == {name}


def test_the_settings_are_checked_and_shown(run):
    done = run("config", "check")
    assert done.exit_code == 0, done.output
    assert "TILLHOOK_PORT" in done.output
    assert "(hidden)" in done.output


def test_the_api_is_described(run):
    document = json.loads(run("openapi").output)
    assert document["openapi"].startswith("3.1")
    assert document["paths"]


GALLOP = """
import click

@click.command("zebra-gallop")
def gallop():
    click.echo("hop")
"""


@pytest.fixture
def zebra(folder, settings, monkeypatch):
    """An installed and enabled plugin that adds a command."""
    command = 'Command(name="zebra-gallop", help="Go faster.", where="tillhook_zebra.cli:gallop")'
    write_plugin(folder, "zebra", "", manifest=f"commands=({command},)", names="Command")
    (folder / "tillhook_zebra" / "cli.py").write_text(GALLOP)
    monkeypatch.setenv("TILLHOOK_MODULES", ",".join((*settings.modules, "zebra")))


def test_a_plugin_adds_a_command(run, zebra):
    [line] = [line for line in run("--help").output.splitlines() if "zebra" in line]
    assert line.split() == ["zebra-gallop", "Go", "faster."]
    assert run("zebra-gallop").output == "hop\n"


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_what_a_command_logs_is_on_standard_error(run, zebra, folder):
    body = 'import structlog\n    click.echo("hop")\n    structlog.get_logger().info("gallops", hops=1)'
    (folder / "tillhook_zebra" / "cli.py").write_text(GALLOP.replace('click.echo("hop")', body))
    command = [sys.executable, "-m", "tillhook", "zebra-gallop"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "hop\n"
    assert {"event": "gallops", "hops": 1}.items() <= json.loads(done.stderr).items()


def test_a_command_of_a_plugin_that_is_not_enabled_is_refused(run, zebra, settings, monkeypatch):
    monkeypatch.setenv("TILLHOOK_MODULES", ",".join(settings.modules))
    refused = run("zebra-gallop")
    assert str(refused.exception) == "zebra-gallop is of plugin zebra, which is not enabled"


@pytest.mark.parametrize("name", ["gallop", "serve"])
def test_a_command_has_the_name_of_its_plugin(run, folder, name):
    command = f'Command(name="{name}", help="Go.", where="tillhook_serve.cli:go")'
    write_plugin(folder, "serve", "", manifest=f"commands=({command},)", names="Command")
    shown = run("--help")
    assert "Commands of plugin serve are missing: the command" in shown.output
    assert shown.exit_code == 0 and "\n  worker " in shown.output


def test_commands_are_listed_by_the_first_line_of_their_own_help():
    context = click.Context(cli)
    for name in cli.list_commands(context):
        listed, command = cli.get_command(context, name), cli.get_command(context, name)._declared.load()
        assert (listed.name, listed.short_help) == (command.name, command.help.splitlines()[0])


def test_help_and_completion_import_nothing_heavy(run):
    """They answer at once: what the commands themselves need is imported when they are called."""
    script = (
        "import sys\nfrom tillhook.cli.main import cli\ntry: cli()\n"
        "finally: print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    completion = {"_TILLHOOK_COMPLETE": "bash_complete", "COMP_WORDS": "tillhook ser", "COMP_CWORD": "1"}
    for arguments, variables, shown in ((["--help"], {}, "  serve "), ([], completion, "plain,serve")):
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.argv = ['tillhook', *sys.argv[1:]]\n{script}", *arguments],
            env={**os.environ, **variables, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown in done.stdout
        heavy = {
            "PIL",
            "alembic",
            "falcon",
            "gunicorn",
            "jwt",
            "marshmallow",
            "openpyxl",
            "psycopg",
            "sqlalchemy",
            "structlog",
        }
        assert not heavy & set(done.stderr.split())


def test_help_needs_no_working_plugins(run, folder, monkeypatch):
    monkeypatch.setenv("TILLHOOK_MODULES", "nonsense")
    home = folder / write_plugin(folder, "wreck", "")
    (home / "__init__.py").write_text("import nothing_of_this_name")
    done = run("--help")
    assert done.exit_code == 0
    assert "Commands of plugin wreck are missing: No module named 'nothing_of_this_name'" in done.output
    assert "serve" in done.output


@pytest.mark.parametrize("command", ["verify", "migrate", "jobs list", "users list", "db current"])
@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_database_that_is_away_is_a_sentence_and_no_difference(run, monkeypatch, capsys, command):
    monkeypatch.setenv("TILLHOOK_DATABASE_URL", "postgresql://clerk:pass-word@127.0.0.1:1/shop")
    monkeypatch.setattr(sys, "argv", ["tillhook", *command.split()])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.startswith("tillhook: the database cannot be reached or used (")
    assert said.count("\n") == 1
    assert "pass-word" not in said


def test_a_database_without_tables_cannot_be_verified(run, databases, engine_name, monkeypatch, capsys):
    with databases.empty(engine_name) as url:
        monkeypatch.setenv("TILLHOOK_DATABASE_URL", url)
        monkeypatch.setattr(sys, "argv", ["tillhook", "verify"])
        with pytest.raises(SystemExit) as end:
            main()
    assert end.value.code == 2
    assert "tillhook migrate makes them" in capsys.readouterr().err


def test_what_a_person_can_mend_is_said_without_a_traceback(run, monkeypatch, capsys):
    monkeypatch.setenv("TILLHOOK_PROT", "1")
    monkeypatch.setattr(sys, "argv", ["tillhook", "migrate"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        "tillhook: TILLHOOK_PROT: there is no such setting; did you mean TILLHOOK_PORT?\n"
    )
