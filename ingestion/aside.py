"""A check that runs beside the work it guards, on another core: the work goes on, and its result counts only with the check's.

Only in a process that is there for one file and may be lost (``allow``): what the check refuses, it stops at once, by a
signal, and the file is read again with the check in front, so that the county gets its reason.
"""

from __future__ import annotations

import ctypes
import functools
import os
import pickle
import signal
import sys
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

STOPPED = signal.SIGUSR1  # ends a process that does not handle it, whatever it is in
_allowed = False


def allow(yes: bool = True) -> None:
    """This process may be stopped in the middle of a file, and whoever started it reads the file again then."""
    global _allowed
    _allowed = yes


def beside(check: Callable[[], T], worth_it: bool = True) -> Callable[[], T]:
    """Starts ``check`` in a fork where that is allowed and ``worth_it``; else it is done here and now, and raises what it raises.

    The function that is given back waits for the result. A check that raises stops this process.
    """
    if not (_allowed and worth_it):
        result = check()
        return lambda: result
    readable, writable = os.pipe()
    parent, pid = os.getpid(), os.fork()
    if pid == 0:
        _check(check, writable, parent)
    os.close(writable)

    @functools.cache
    def wait() -> T:
        with open(readable, "rb") as pipe:
            said = pipe.read()
        os.waitpid(pid, 0)
        if not said:
            os.kill(os.getpid(), STOPPED)
        return pickle.loads(said)

    return wait


def _check(check: Callable[[], object], writable: int, parent: int) -> None:
    """The fork's whole life."""
    try:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it does not outlive the one it checks for
        said = pickle.dumps(check())
        with open(writable, "wb") as pipe:
            pipe.write(said)
        os._exit(0)
    finally:
        if os.getppid() == parent:
            os.kill(parent, STOPPED)
        os._exit(1)
