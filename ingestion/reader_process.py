"""Reading files in processes of their own: a workbook that crashes, hangs or eats all memory takes nobody with it.

`ReaderPool` starts ``python -m ingestion.reader_process``, one a worker. A worker reads one file after the other and
answers with a `PreparedFile`; the pool's caller gets the answers in the order of its questions. Plain processes over
pipes, since an orchestrator's own workers are often not allowed to start multiprocessing children.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime as dt
import functools
import itertools
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ingestion import aside
from ingestion.collector import uncollected
from ingestion.copying import Piece, Pieces, PreparedFile, ReaderLost, prepare, where
from ingestion.pseudonyms import Pseudonyms
from warehouse import originals
from warehouse.settings import REPOSITORY, Settings

SECONDS_PER_FILE = 180  # of processor time, so that a busy machine refuses nothing that a quiet one reads
PATIENCE = 4  # as many times longer by the clock: what hangs uses no processor
HUNG = (-signal.SIGPROF, -signal.SIGALRM)
MEMORY_BYTES = 6 * 2**30  # address space; threads' stacks and arenas count although they are never touched
AHEAD = 6  # files read ahead for each worker: bounds what waits in memory
REFUSAL_ZH = {
    "hung": "该文件读取时间过长，未能读完，已停止。请检查文件内容后另存为普通 .xlsx 工作簿重新报送。",
    "crashed": "该文件无法读取（读取程序在打开时中断）。请用 Excel 或 WPS 打开后另存为 .xlsx 工作簿重新报送。",
    "memory": "该文件展开后过大，超出读取限额。请删除多余的空白行列和图片后重新报送。",
    "failed": "该文件无法读取（读取程序出错，数据组已收到记录）。请用 Excel 或 WPS 打开后另存为 .xlsx 工作簿重新报送。",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One file to read."""

    path: Path
    name: str
    received_at: dt.datetime


@dataclass(slots=True)
class Answer:
    """What came of reading a file. ``trouble`` says where the reader failed, without any of the file's content."""

    file: PreparedFile
    trouble: str = ""


def refused(name: str, kind: str, trouble: str = "") -> Answer:
    return Answer(PreparedFile(name, refusal_zh=REFUSAL_ZH[kind]), trouble or kind)


def read_here(question: Question, pseudonyms: Pseudonyms) -> Answer:
    """Read a file in this process. Whatever the reader raises becomes a refusal."""
    from ingestion.containers import MAX_FILE
    from ingestion.reading import read_file

    try:
        # what is far too large is refused by its size alone
        small = originals.size_of(question.path) <= 2 * MAX_FILE
        data = functools.partial(originals.read_path, question.path, pseudonyms.keys) if small else None
        return Answer(prepare(read_file(question.path, question.name, received_at=question.received_at, data=data), pseudonyms))
    except KeyboardInterrupt:
        raise
    except MemoryError:
        return refused(question.name, "memory")
    except ReaderLost as lost:
        return refused(question.name, lost.kind, lost.trouble)
    except BaseException as error:  # a panic in a Rust library is no Exception
        return refused(question.name, "failed", where(error))


# ---------------------------------------------------------------- an answer on its way


def send_answer(stream: BinaryIO, answer: Answer, meanwhile: Callable[[], None] = lambda: None) -> None:
    """The answer without the rows of its long forms, then these piece by piece as they are made, then None.

    ``meanwhile`` is called when the answer itself is out. Rows that cannot be made end in a ReaderLost instead of None.
    """
    rest = [form.pieces.once() for form in answer.file.forms]
    _send(stream, answer)
    meanwhile()
    try:
        with uncollected():
            for number, pieces in enumerate(rest):
                for piece in pieces:
                    _send(stream, (number, piece))
        _send(stream, None)
    except ReaderLost as lost:
        _send(stream, (lost.kind, lost.trouble))


class Arriving:
    """The pieces of an answer, handed to its forms as they come in.

    ``receive`` gives the next message of `send_answer`, the answer first.
    """

    def __init__(self, receive: Callable[[], object]) -> None:
        self.receive, self.ended = receive, False
        self.lost: ReaderLost | None = None
        self.answer: Answer = receive()
        self._waiting: list[deque[Piece]] = []
        for number, form in enumerate(self.answer.file.forms):
            self._waiting.append(deque())
            form.pieces = Pieces(itertools.chain(form.pieces, self._of(number)))

    def _of(self, number: int) -> Iterator[Piece]:
        """Raises ReaderLost."""
        waiting = self._waiting[number]
        while waiting or not self.ended:
            if waiting:
                yield waiting.popleft()
            else:
                self._next()
        if self.lost:  # while nobody was asking
            raise self.lost

    def _next(self) -> None:
        try:
            message = self.receive()
            if message is not None and isinstance(message[0], str):
                raise ReaderLost(*message)
        except ReaderLost as lost:
            self.ended, self.lost = True, lost
            raise
        if message is None:
            self.ended = True
        else:
            self._waiting[message[0]].append(message[1])

    def finish(self) -> None:
        """Take in what nobody has asked for yet: who sends has to be free for the next file. Raises ReaderLost."""
        while not self.ended:
            self._next()


class ReaderPool:
    """Reads files in worker processes; use it as a context manager. Workers start with the first files."""

    def __init__(self, settings: Settings, workers: int = 2, seconds_per_file: float = SECONDS_PER_FILE, reader: str = "ingestion.reader_process") -> None:
        self.workers, self.seconds, self.reader = workers, seconds_per_file, reader
        self._pseudonyms = Pseudonyms.of(settings)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="reader")
        self._local = threading.local()
        self._running: set[subprocess.Popen] = set()
        self._told: set[int] = set()  # workers that have the secret

    def __enter__(self) -> ReaderPool:
        return self

    def __exit__(self, *_) -> None:
        for process in list(self._running):
            process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in list(self._running):
            self._forget(process)

    def read(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """The answers in the order of the questions; reads a few files ahead of the one that is handed out."""
        waiting: deque[Future[Answer]] = deque()
        for question in questions:
            waiting.append(self._threads.submit(self._ask, question))
            if len(waiting) > AHEAD * self.workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _ask(self, question: Question) -> Answer:
        for attempt in (1, 2):  # a worker may be shot by the system for what another file did
            process = getattr(self._local, "process", None) or self._start()
            try:
                if process.pid not in self._told:  # a worker may be gone before it has heard its first word
                    _send(process.stdin, self._pseudonyms)
                    self._told.add(process.pid)
                _send(process.stdin, (question, self.seconds, attempt == 1))
                arriving = Arriving(functools.partial(_receive, process.stdout))
                arriving.finish()
                return arriving.answer
            except ReaderLost as lost:
                return refused(question.name, lost.kind, lost.trouble)
            except (EOFError, OSError):
                process.kill()
                code = process.wait()
                self._forget(process)
                if code in HUNG:
                    return refused(question.name, "hung")
                if attempt == 2:
                    return refused(question.name, "crashed", f"reader ended with {code}")
        raise AssertionError

    def _start(self) -> subprocess.Popen:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))}
        process = subprocess.Popen(
            [sys.executable, "-m", self.reader], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        self._running.add(process)
        self._local.process = process
        return process

    def _forget(self, process: subprocess.Popen) -> None:
        self._running.discard(process)
        self._told.discard(process.pid)
        self._local.process = None
        process.stdout.close()
        with contextlib.suppress(OSError):  # what it never read cannot be flushed
            process.stdin.close()
        process.wait()


def _send(stream: BinaryIO, what: object) -> None:
    pickle.dump(what, stream, protocol=5)  # straight into the pipe: a copy of a long list would double the memory
    stream.flush()


def _receive(stream: BinaryIO) -> object:
    try:
        return pickle.load(stream)
    except pickle.UnpicklingError as error:  # cut off in the middle
        raise EOFError from error


def limit_time(seconds: float) -> None:
    """So many seconds of processor time, and PATIENCE times as many by the clock, are left for what follows; 0: no limit.

    The signals are not handled, so they end the process, whatever it is in.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, seconds * PATIENCE)


def serve(read: Callable[[Question, Pseudonyms], Answer] = read_here) -> None:
    """A worker's whole life: secret first, then question after question, until the pipe is closed."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    questions = sys.stdin.buffer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the loader, which then closes the pipe
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no orphan goes on reading
    try:
        pseudonyms = _receive(questions)
        while True:
            question, seconds, first = _receive(questions)
            aside.allow(first)
            limit_time(seconds)
            send_answer(answers, read(question, pseudonyms))
            limit_time(0)
    except EOFError:
        return


if __name__ == "__main__":
    # under its importable name, so that what is pickled here is known there
    from ingestion import reader_process

    reader_process.serve()
