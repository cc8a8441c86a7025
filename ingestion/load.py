"""Load what has arrived: files in order of arrival, whole forms or nothing, one transaction a batch.

Reading runs ahead in other processes; loading is strictly in order, because cross-week rules depend on what was
accepted before. Several forms that do not depend on each other (no two of the same form and county) are loaded as one
*round* by set-based statements; a batch of files is a transaction of one or more rounds. A run that is cut short
leaves whole batches, and the next run goes on with the files that have no outcome yet.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from ingestion.contracts import contracts
from ingestion.copying import PreparedFile, ReaderLost, prepare
from ingestion.door import senders, strange_county
from ingestion.model import FileReading
from ingestion.prepared import Prepared, question
from ingestion.pseudonyms import Pseudonyms
from ingestion.reader_process import REFUSAL_ZH, Answer, Question, ReaderPool, read_here, where
from ingestion.returned import write_outbox
from ingestion.rounds import ANALYSE_ROWS, FileRow, Submission, load_round, rounds_of, stage, write_findings
from warehouse.calendar import Exceptions, read_exceptions
from warehouse.locks import LOAD as LOCK
from warehouse.roles import LOADER, as_role
from warehouse.settings import Settings

BATCH_FILES = 150
BATCH_ROWS = 100_000

NUMBERS = "select nextval(pg_get_serial_sequence('intake.submission', 'submission_id')) from generate_series(1, %s)"


@dataclass(slots=True)
class FileOutcome:
    file_id: int
    name: str
    outcome: str  # loaded | partly_loaded | returned | refused
    message_zh: str
    rows_loaded: int = 0
    rows_rejected: int = 0


@dataclass(slots=True)
class LoadResult:
    """What one call did. ``states`` counts submissions by state; rows_read = rows_loaded + rows_rejected."""

    files: list[FileOutcome] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    rows_loaded: int = 0
    rows_rejected: int = 0
    findings: int = 0
    seconds: float = 0.0

    @property
    def submissions(self) -> int:
        return sum(self.states.values())

    @property
    def rows_read(self) -> int:
        return self.rows_loaded + self.rows_rejected

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(f.outcome for f in self.files)


@as_role(LOADER)
def load(
    connection: psycopg.Connection,
    settings: Settings,
    *,
    file_ids: Sequence[int] | None = None,
    progress: Callable[..., None] | None = None,
    workers: int | None = None,
    pool: ReaderPool | None = None,
    outbox: bool = True,
    only_read: bool = False,
) -> LoadResult:
    """Read and load every file without an outcome (or those of ``file_ids``), in order of arrival. Safe to repeat.

    What was read ahead (`ingestion.prepared`) is not read again; ``only_read``: go no further than up to the first file
    that was not.
    ``workers``: processes that read; by default one for a few files and two for many, 0 reads in this process.
    A file that cannot be read or loaded is refused with a sentence and the others go on. A second loader waits.
    In the end the workbooks that go back to the counties are written (``outbox``).
    """
    began, result = time.monotonic(), LoadResult()
    with _only_loader(connection):
        files = [
            FileRow(*row)
            for row in connection.execute(
                """select file_id, sha256, original_name, received_at, sender from intake.file
                   where outcome is null and (%(ids)s::bigint[] is null or file_id = any(%(ids)s)) order by received_at, file_id""",
                {"ids": None if file_ids is None else list(file_ids)},
            )
        ]
        connection.commit()
        ahead = Prepared(settings)  # with the lock: keys do not change from here on
        if only_read:
            kept = ahead.kept(files)
            files = list(itertools.takewhile(lambda file: file.sha256 in kept, files))
        with _answers(settings, files, workers, pool, ahead) as answers:
            loader = _Loader(connection, settings, result, answered_later=outbox, ahead=ahead)
            for done, (file, answer) in enumerate(zip(files, answers, strict=True), 1):
                if answer.trouble:
                    _log(settings, file.file_id, answer.trouble)
                loader.add(file, answer.file)
                if progress:
                    progress("load: files", done, len(files))
            loader.finish()
        _forget(connection, ahead)
    if outbox:
        _send_back(connection, settings, progress)
    result.seconds = time.monotonic() - began
    return result


@as_role(LOADER)
def load_readings(connection: psycopg.Connection, settings: Settings, readings: Iterable[tuple[FileRow, FileReading]]) -> LoadResult:
    """Load files that have been read already, in the order given. The readings' columns are emptied."""
    began, result, pseudonyms = time.monotonic(), LoadResult(), Pseudonyms.of(settings)
    with _only_loader(connection):
        loader = _Loader(connection, settings, result)
        for file, reading in readings:
            loader.add(file, prepare(reading, pseudonyms))
        loader.finish()
    result.seconds = time.monotonic() - began
    return result


@contextlib.contextmanager
def _only_loader(connection: psycopg.Connection) -> Iterator[None]:
    connection.commit()  # a transaction left open by the caller would turn ours into savepoints of it
    connection.execute("select pg_advisory_lock(%s)", [LOCK])
    connection.commit()
    try:
        yield
    finally:
        if not connection.closed:
            connection.rollback()
            connection.execute("discard temp")
            connection.execute("select pg_advisory_unlock(%s)", [LOCK])
            connection.commit()


@contextlib.contextmanager
def _answers(settings: Settings, files: list[FileRow], workers: int | None, pool: ReaderPool | None, ahead: Prepared) -> Iterator[Iterator[Answer]]:
    """What comes of each file, in order: what was read ahead of it, else what a reader says."""
    if workers is None:
        workers = 2 if len(files) > 8 else min(1, len(files))
    if workers == 0 and pool is None:
        pseudonyms = Pseudonyms.of(settings)
        yield _in_order(settings, files, lambda questions: (read_here(q, pseudonyms) for q in questions), ahead)
    else:
        with pool or ReaderPool(settings, workers) as readers:
            yield _in_order(settings, files, readers.read, ahead)


def _in_order(settings: Settings, files: list[FileRow], read: Callable[[Iterable[Question]], Iterator[Answer]], ahead: Prepared) -> Iterator[Answer]:
    kept = ahead.kept(files)
    others = iter(read(question(settings, f) for f in files if f.sha256 not in kept))
    for file in files:
        if file.sha256 not in kept:
            yield next(others)
        elif (answer := ahead.take(file)) is not None:
            yield answer
        else:
            yield from read([question(settings, file)])
    yield from others  # none; but of the last file, rows may still have to come in


def _forget(connection: psycopg.Connection, ahead: Prepared) -> None:
    """What was read ahead of files that do not wait any more, by a task that came late or a loader that was killed."""
    if not ahead.empty:
        ahead.sweep(sha256 for (sha256,) in connection.execute("select sha256 from intake.file where outcome is null"))
        connection.commit()


def _log(settings: Settings, file_id: int, trouble: str) -> None:
    """For the data team: which file failed where; nothing of what is in it, nor its name."""
    settings.logs.mkdir(parents=True, exist_ok=True)
    with open(settings.logs / "load.log", "a", encoding="utf-8") as log:
        log.write(f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ} file_id={file_id} {trouble}\n")


class _Loader:
    """Gathers files into batches and loads them."""

    def __init__(self, connection: psycopg.Connection, settings: Settings, result: LoadResult, answered_later: bool = False, ahead: Prepared | None = None) -> None:
        self.connection, self.settings, self.result, self.answered_later = connection, settings, result, answered_later
        self.ahead = ahead
        self.batch: list[tuple[FileRow, PreparedFile]] = []
        self.rows = 0
        self.exceptions: Exceptions = read_exceptions(connection)
        self.senders = senders(settings)
        self.staged: set[str] = set()  # forms that have their temporary table
        self.grown: Counter[str] = Counter()  # rows by form
        self.connection.commit()

    def add(self, file: FileRow, prepared: PreparedFile) -> None:
        self.batch.append((file, prepared))
        self.rows += sum(f.rows for f in prepared.forms)
        if len(self.batch) >= BATCH_FILES or self.rows >= BATCH_ROWS:
            self.flush()

    def finish(self) -> None:
        self.flush()
        for code, rows in self.grown.items():
            if rows >= ANALYSE_ROWS:
                self.connection.execute(sql.SQL("analyze {}").format(sql.Identifier("raw", code.lower())))
        self.connection.commit()

    def flush(self) -> None:
        batch, self.batch, self.rows = self.batch, [], 0
        if not batch:
            return
        missing = {form.reading.form for _, file in batch for form in file.forms} - self.staged
        if missing:
            stage(self.connection, missing)
            self.staged |= missing
        try:
            self._load(batch)
        except psycopg.OperationalError:
            raise
        except (psycopg.Error, ReaderLost):
            # one file cannot be taken; the others must not suffer for it
            for file, prepared in batch:
                try:
                    self._load([(file, prepared)])
                except psycopg.OperationalError:
                    raise
                except psycopg.Error as error:
                    _log(self.settings, file.file_id, f"{where(error)} sqlstate={error.sqlstate} constraint={error.diag.constraint_name}")
                    self._load([(file, PreparedFile(prepared.name, refusal_zh=REFUSAL_ZH["failed"]))])
                except ReaderLost as lost:
                    _log(self.settings, file.file_id, lost.trouble)
                    self._load([(file, PreparedFile(prepared.name, refusal_zh=REFUSAL_ZH[lost.kind]))])
        if self.ahead:
            self.ahead.remove(file.sha256 for file, _ in batch)

    def _load(self, batch: list[tuple[FileRow, PreparedFile]]) -> None:
        """One transaction: all forms of these files round by round, then the files' outcomes."""
        submissions = [Submission(file, form) for file, prepared in batch for form in prepared.forms]
        of_file: dict[int, list[Submission]] = defaultdict(list)
        for s in submissions:
            s.findings = [*s.form.reading.findings, *filter(None, [strange_county(self.senders, s.file.sender, s.form.reading)])]
            of_file[s.file.file_id].append(s)
        with self.connection.transaction():
            ids = self.connection.execute(NUMBERS, [len(submissions)]).fetchall()
            for s, (submission_id,) in zip(submissions, ids, strict=True):
                s.submission_id = submission_id
            for round_ in rounds_of(submissions):
                load_round(self.connection, self.settings, self.exceptions, round_)
            outcomes = [_outcome(file, prepared, of_file[file.file_id]) for file, prepared in batch]
            write_findings(self.connection, [(file.file_id, None, f) for file, prepared in batch for f in prepared.findings])
            with self.connection.cursor() as cursor:
                told = {s.file.file_id for s in submissions if s.findings} | {f.file_id for f, p in batch if p.findings or p.refusal_zh}
                cursor.executemany(
                    "update intake.file set outcome = %s, message_zh = %s, finished_at = case when %s then clock_timestamp() end where file_id = %s",
                    [(o.outcome, o.message_zh, not (self.answered_later and o.file_id in told), o.file_id) for o in outcomes],
                )
        self.result.files += outcomes
        self.result.findings += sum(len(p.findings) for _, p in batch)
        for s in submissions:
            self.result.states[s.state] += 1
            self.result.rows_loaded += s.rows_loaded
            self.result.rows_rejected += s.form.rows - s.rows_loaded
            self.result.findings += len(s.findings)
            self.grown[s.form.reading.form] += s.rows_loaded


def _send_back(connection: psycopg.Connection, settings: Settings, progress: Callable[..., None] | None) -> None:
    """The counties' own workbooks with their faults marked; a file is finished only when its own is written.

    Includes those that an earlier run owes. What is loaded stays loaded if one cannot be written.
    """
    owed = connection.execute("select file_id from intake.file where outcome is not null and finished_at is null order by file_id").fetchall()
    connection.commit()
    for done, (file_id,) in enumerate(owed, 1):
        with connection.transaction():
            # skipped: another loader is writing it just now, or has done so meanwhile
            mine = connection.execute("select from intake.file where file_id = %s and finished_at is null for update skip locked", [file_id]).fetchone()
            if mine is not None and _write_back(connection, settings, file_id):
                connection.execute("update intake.file set finished_at = clock_timestamp() where file_id = %s", [file_id])
        if progress:
            progress("load: returned workbooks", done, len(owed))


def _write_back(connection: psycopg.Connection, settings: Settings, file_id: int) -> bool:
    """Whether the file is done with: only a fault of the disk is worth another attempt."""
    try:
        with connection.transaction():
            write_outbox(connection, settings, [file_id])
    except psycopg.OperationalError:
        raise
    except Exception as error:
        _log(settings, file_id, f"no returned workbook: {where(error)}")
        return not isinstance(error, OSError)
    return True


def _outcome(file: FileRow, prepared: PreparedFile, submissions: list[Submission]) -> FileOutcome:
    accepted = [s for s in submissions if s.accepted]
    returned = [s for s in submissions if not s.accepted]
    loaded = sum(s.rows_loaded for s in submissions)
    rejected = sum(s.form.rows for s in submissions) - loaded

    def outcome(kind: str, text: str) -> FileOutcome:
        return FileOutcome(file.file_id, file.original_name, kind, text, loaded, rejected)

    if prepared.refusal_zh:
        return outcome("refused", prepared.refusal_zh)
    faults = [f for f in prepared.findings if f.severity == "error"]
    names = "、".join(dict.fromkeys(contracts().form(s.form.reading.form).zh for s in returned))
    others = f"另有无法识别的内容：{faults[0].message_zh}" if faults else ""
    errors = sum(f.severity == "error" for s in returned for f in s.findings)
    if not submissions:
        return outcome("returned", faults[0].message_zh) if faults else outcome("refused", "文件中没有找到任何报表，请核对后重新报送。")
    if not accepted:
        return outcome("returned", f"退回{len(returned)}张报表（{names}），共{errors}处错误。请按退回的工作簿逐处更正后重报。{others}")
    if returned or faults:
        back = f"退回{len(returned)}张（{names}），共{errors}处错误，请更正后只重报这些报表。" if returned else ""
        return outcome("partly_loaded", f"已装载{len(accepted)}张报表共{loaded}行；{back}{others}")
    warnings = sum(len(s.findings) for s in submissions) + len(prepared.findings)
    empty = sum(s.state == "empty" for s in accepted)
    text = f"已装载{len(accepted)}张报表共{loaded}行" + (f"，其中空报{empty}张" if empty else "")
    return outcome("loaded", text + (f"；有{warnings}条提示，请核对。" if warnings else "。"))
