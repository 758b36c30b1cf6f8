"""``--quick``: one case of each test, on SQLite, in one process."""

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import subprocess
import sys
import threading

import pytest


@pytest.mark.parametrize("case", ["first", "second"])
def test_cases(case):
    assert case == "first"


def test_on_both_engines(engine_name):
    assert engine_name == "sqlite"


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_on_postgresql(engine_name):
    pass


@pytest.mark.slow
def test_slow():
    pass


def test_with_a_server(server):
    pass


def test_with_a_process():
    subprocess.run([sys.executable, "-c", ""], check=True)


def test_with_a_thread():
    threading.Thread(target=print).start()
"""


@pytest.fixture
def quick(pytester):
    pytester.makepyfile(TESTS)
    pytester.makeini("[pytest]\nmarkers = slow")
    return lambda *options: pytester.runpytest_subprocess("--quick", "-rs", *options)


def test_it_takes_one_case_on_sqlite_and_no_process(quick):
    result = quick()
    # Left out: a second case, the one of PostgreSQL, the slow one and the one with a server.
    result.assert_outcomes(passed=3, skipped=1, deselected=4)
    result.stdout.fnmatch_lines("SKIPPED*: starts a process, which --quick does not")


def test_it_goes_with_other_options(quick):
    quick("--engine", "sqlite", "-k", "engines").assert_outcomes(passed=1, deselected=7)


def test_postgresql_is_not_quick(quick):
    result = quick("--engine", "postgresql")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines("*--quick runs on SQLite")
