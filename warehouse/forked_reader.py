"""Reading a file in a fork of this process: as safe as a reader of its own, without a second of starting it.

For a task that loads one file. Its process has the reading engine imported already, and a workbook that crashes,
hangs or eats all memory still takes only the fork with it.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import signal
import sys
from collections.abc import Callable, Iterable, Iterator

from ingestion.pseudonyms import Pseudonyms
from ingestion.reader_process import (
    HUNG,
    MEMORY_BYTES,
    SECONDS_PER_FILE,
    Answer,
    Question,
    limit_time,
    read_here,
    refused,
)
from warehouse.settings import Settings


class ForkedReader:
    """Stands in for a ReaderPool in ``load(pool=…)``: a fork a file, one after the other."""

    def __init__(
        self, settings: Settings, seconds_per_file: float = SECONDS_PER_FILE, read: Callable[[Question, Pseudonyms], Answer] = read_here
    ) -> None:
        import ingestion.reading  # noqa: F401  here, so that the forks have it

        self.seconds, self.read_one = seconds_per_file, read
        self._pseudonyms = Pseudonyms.of(settings)

    def __enter__(self) -> ForkedReader:
        return self

    def __exit__(self, *_) -> None:
        return None

    def read(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """The answers in the order of the questions."""
        for question in questions:
            yield self._ask(question)

    def _ask(self, question: Question) -> Answer:
        code = 0
        for _ in (1, 2):  # it may be shot by the system for what another process did
            readable, writable = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(readable)
                self._answer(question, writable)
            os.close(writable)
            with open(readable, "rb") as pipe:
                data = pipe.read()
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if code == 0:
                return pickle.loads(data)
            if code in HUNG:
                return refused(question.name, "hung")
        return refused(question.name, "crashed", f"reader ended with {code}")

    def _answer(self, question: Question, writable: int) -> None:
        """The fork's whole life. It leaves by ``_exit``: connections and handlers are its parent's."""
        try:
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  whatever a library prints may quote a cell
            os.dup2(sys.stdout.fileno(), 1)
            os.dup2(1, 2)
            for number in (signal.SIGALRM, signal.SIGPROF, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)  # the alarm ends the process, whatever it is in
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no orphan goes on reading
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
            limit_time(self.seconds)
            data = pickle.dumps(self.read_one(question, self._pseudonyms), protocol=5)
            with open(writable, "wb") as pipe:
                pipe.write(data)
            os._exit(0)
        finally:
            os._exit(1)
