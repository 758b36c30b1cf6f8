"""Doing several things at one moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

Answer = TypeVar("Answer")


def at_once(*calls: Callable[[], Answer]) -> list[Answer]:
    """Return what the calls returned, in their order; each has a thread, and all start together.

    What a call raises is raised here, after all have ended.
    """
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Answer]) -> Answer:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def many_at_once(number: int, call: Callable[[int], Answer]) -> list[Answer]:
    """Return what ``call(0)`` to ``call(number - 1)`` returned; otherwise as :func:`at_once`."""
    return at_once(*(partial(call, each) for each in range(number)))
