"""A child that does not outlive its parent, and whose signs of life are heard."""

import os
import subprocess
import sys

import psutil
import pytest

from tillhook.server.lifeline import Pulse, beat_into

_CHILD = """
import ctypes
import os
import sys
import time

from tillhook.server import lifeline

with_prctl = sys.argv[2] == "prctl"
if not with_prctl:
    lifeline.ctypes = type("None", (), {"CDLL": lambda _: None})
lifeline.die_with(int(sys.argv[1]))
print(os.getpid(), flush=True)
# Where the kernel does it, the interpreter is not asked.
(ctypes.PyDLL(None).sleep if with_prctl else time.sleep)(60)
"""
_PARENT = """
import os
import signal
import subprocess
import sys

child = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid()), sys.argv[2]], stdout=subprocess.PIPE)
print(child.stdout.readline().decode(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    "way",
    [
        pytest.param("prctl", marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child")),
        "polling",
    ],
)
def test_a_child_ends_with_its_parent_whatever_it_does(way):
    done = subprocess.run([sys.executable, "-c", _PARENT, _CHILD, way], stdout=subprocess.PIPE, timeout=20, check=False)
    pid = int(done.stdout)
    try:
        psutil.Process(pid).wait(5)
    except psutil.NoSuchProcess:
        pass
    assert not psutil.pid_exists(pid)


def test_signs_are_heard_once_and_never_wait():
    pulse = Pulse()
    beat = beat_into(pulse.writing)
    assert not pulse.has_beaten()
    for _ in range(100_000):  # more than the pipe holds
        beat()
    assert pulse.has_beaten()
    while pulse.has_beaten():
        pass
    beat()
    assert pulse.has_beaten()
    pulse.close()
    beat()  # nobody listens any more
    os.close(pulse.writing)
