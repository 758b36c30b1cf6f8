"""``tillhook worker``, as a process of its own."""

import os
import signal
import subprocess
import sys

import pytest

from tillhook.testing.plugins import write_plugin
from tillhook.testing.template import environment_of

# It holds a transaction that has written, and hears nothing.
_HANGS = """
import threading

from tillhook import hookimpl
from tillhook.access import audit
from tillhook.hooks import Job


def hang(session):
    audit(session, "hang", "job", 1)
    session.flush()
    print("hanging", flush=True)
    threading.Event().wait()


@hookimpl
def register_jobs():
    return [Job(name="hanging.job", every_s=60, run=hang)]
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_hanging_job_does_not_keep_the_process_from_ending(runtime, settings, tmp_path, number):
    write_plugin(tmp_path / "site", "hanging", _HANGS)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TILLHOOK_")}
    environment |= environment_of(settings) | {"TILLHOOK_MODULES": "hanging"}
    environment["PYTHONPATH"] += os.pathsep + str(tmp_path / "site")
    with subprocess.Popen(
        [sys.executable, "-m", "tillhook", "worker"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        said = []
        while not said or b"hanging\n" != said[-1]:
            said.append(process.stdout.readline())
            assert said[-1], b"".join(said)
        process.send_signal(number)
        rest, _ = process.communicate(timeout=20)
        assert process.returncode == 0, rest
        assert b"worker_left" in rest
