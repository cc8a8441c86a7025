"""Great Expectations in a process of its own, which imports it while this one has other work.

The import takes longer than all that it is needed for, and two imports in one process take turns. Whatever happens to
the process, nothing depends on it: its result counts or there is none, and then the candidates are validated here.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

from expectations import validation
from expectations.suites import Suite
from warehouse.settings import REPOSITORY, Settings

NICENESS = 5  # files are read first
_started: ValidationProcess | None = None


class ValidationProcess:
    """One validation: `begin` gives it its task, `result` waits for it."""

    def __init__(self) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))}
        command = [sys.executable, "-m", "expectations.validation_process"]
        self.busy = False
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)

    def begin(self, *task: Any) -> None:
        """The arguments of `expectations.validation.validate`, without the last."""
        self.busy = True
        with contextlib.suppress(OSError):  # `result` says it
            pickle.dump(task, self.process.stdin)
            self.process.stdin.flush()

    def result(self, progress: Callable[..., None] | None = None) -> validation.Validation | None:
        """The Validation; None where the process is lost or could not validate."""
        try:
            while True:
                kind, what = pickle.load(self.process.stdout)
                if kind == "done":
                    return what
                if progress:
                    progress(*what)
        except (EOFError, OSError, pickle.UnpicklingError):
            return None
        finally:
            self.end()

    def end(self) -> None:
        self.process.kill()
        self.process.stdout.close()
        with contextlib.suppress(OSError):  # what it never read cannot be flushed
            self.process.stdin.close()
        self.process.wait()


def start() -> None:
    """Let a process import Great Expectations for the next validation."""
    global _started
    _started = _started or ValidationProcess()


def stop() -> None:
    """End the process that was started, whatever became of it."""
    global _started
    if _started is not None:
        _started.end()
    _started = None


def validating(
    settings: Settings, suites: list[Suite], forms: Iterable[str], weeks: list[str], progress: Callable[..., None] | None
) -> Callable[[], validation.Validation]:
    """Begin to validate where a process waits for it; the function that is given back ends it, or does all of it here."""
    process = _started if _started and not _started.busy else None
    if process is not None:
        process.begin(settings, suites, set(forms), weeks)

    def finish() -> validation.Validation:
        found = process.result(progress) if process is not None else None
        # here, and only here, this process pays for the long import
        return found or validation.validate(settings, suites, set(forms), weeks, progress)

    return finish


def serve() -> None:
    """The process's whole life. Where it cannot validate it ends, and its parent does it and meets the same trouble."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    os.nice(NICENESS)
    validation.engine()
    try:
        task = pickle.load(sys.stdin.buffer)
    except EOFError:
        return

    def say(kind: str, what: Any) -> None:
        pickle.dump((kind, what), answers)
        answers.flush()

    say("done", validation.validate(*task, lambda *what: say("progress", what)))


if __name__ == "__main__":
    # under its importable name, so that what is pickled here is known there
    from expectations import validation_process

    validation_process.serve()
