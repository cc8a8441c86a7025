"""Reading a file in a fork of this process: as safe as a reader of its own, without a second of starting it.

For a task that loads one file. Its process has the reading engine imported already, and a workbook that crashes,
hangs or eats all memory still takes only the fork with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import os
import pickle
import resource
import signal
import sys
from collections.abc import Callable, Iterable, Iterator

from ingestion import aside
from ingestion.copying import ReaderLost
from ingestion.pseudonyms import Pseudonyms
from ingestion.reader_process import (
    HUNG,
    MEMORY_BYTES,
    SECONDS_PER_FILE,
    Answer,
    Arriving,
    Question,
    limit_time,
    read_here,
    refused,
    send_answer,
)
from warehouse.settings import Settings

PIPE_SIZE = getattr(fcntl, "F_SETPIPE_SZ", 1031)
PIPE_BYTES = 1 << 20  # half a piece of rows: the next one is made while the database takes this one


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
        """The answers in the order of the questions. Rows of long forms still come in while the caller takes the first of them."""
        for question in questions:
            fork = _Fork(self, question)
            try:
                try:
                    arriving = Arriving(fork.receive)
                except ReaderLost as lost:
                    yield refused(question.name, lost.kind, lost.trouble)
                    continue
                yield arriving.answer
                with contextlib.suppress(ReaderLost):  # whoever takes the rows is told
                    arriving.finish()
            finally:
                fork.end()

    def answer(self, question: Question, writable: int, first: bool) -> None:
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
            aside.allow(first)
            limit_time(self.seconds)
            no_clock = functools.partial(signal.setitimer, signal.ITIMER_REAL, 0)  # from here on it may wait for the database
            with open(writable, "wb") as pipe:
                send_answer(pipe, self.read_one(question, self._pseudonyms), meanwhile=no_clock)
            os._exit(0)
        finally:
            os._exit(1)


class _Fork:
    """One file being read by one process or, where that is lost on the way, by a second that begins again."""

    def __init__(self, reader: ForkedReader, question: Question) -> None:
        self.reader, self.question = reader, question
        self.attempt = self.got = self.skip = 0
        self._start()

    def _start(self) -> None:
        self.attempt += 1
        readable, writable = os.pipe()
        with contextlib.suppress(OSError):  # more than is allowed to this user: then it is what it is
            fcntl.fcntl(writable, PIPE_SIZE, PIPE_BYTES)
        self.pid = os.fork()
        if self.pid == 0:
            os.close(readable)
            self.reader.answer(self.question, writable, first=self.attempt == 1)
        os.close(writable)
        self.pipe = open(readable, "rb")  # noqa: SIM115  closed by `_wait`

    def receive(self) -> object:
        """The next message of the answer. Raises ReaderLost where there is none to be had."""
        while True:
            try:
                message = pickle.load(self.pipe)
            except (EOFError, pickle.UnpicklingError):
                code = self._wait()
                if code in HUNG:
                    raise ReaderLost("hung") from None
                if self.attempt == 2:  # it may be shot by the system for what another process did, but not twice
                    raise ReaderLost("crashed", f"reader ended with {code}") from None
                self._start()
                self.skip = self.got
                continue
            if self.skip:  # the pieces of a file are the same each time
                self.skip -= 1
                continue
            self.got += 1
            return message

    def _wait(self) -> int:
        self.pipe.close()
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        return code

    def end(self) -> None:
        if self.pid:
            self.pipe.close()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._wait()
