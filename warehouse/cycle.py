"""The whole way of the data once: receive, load, build, judge, publish, report, and what came of it.

The DAGs call the same functions step by step; what both need (the clock, the drops in an inbox, the figures of a
summary) is here, so that a run from the command line and one under Airflow cannot differ.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psycopg

from warehouse import database
from warehouse.locks import INTAKE
from warehouse.observe.steps import observed, observed_cycle
from warehouse.progress import silent
from warehouse.settings import Settings, WarehouseError
from warehouse.warm import warming

MANIFEST = "arrivals.csv"
FOLDER_SECONDS = 60  # an empty folder of the inbox is cleared away after that time
RECEIVED = ".received-"  # prefix of a drop that is being cleared away
UNREVIEWED = "automatic"  # who approves a publication that nobody was asked about
ANNOUNCE_SECONDS = 3600.0
ENOUGH_DISK = 2 * 2**30

log = logging.getLogger(__name__)


@dataclass
class CycleResult:
    """What one cycle did. Counts are of this cycle's files; ``seconds`` by step, in order."""

    outcome: str = "nothing"  # published | nothing | blocked
    files: dict[str, int] = field(default_factory=dict)  # by intake.file.outcome
    submissions: dict[str, int] = field(default_factory=dict)  # by intake.submission.state
    rows: dict[str, int] = field(default_factory=dict)  # read, loaded, rejected
    findings: dict[str, int] = field(default_factory=dict)  # by severity, all stages
    verdict: str | None = None
    blocking_zh: str | None = None
    publication: int | None = None
    week: str | None = None
    rows_opened: int | None = None
    rows_closed: int | None = None
    faults: list[str] = field(default_factory=list)  # drops that were set aside
    report: str | None = None
    report_fault: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        return {"published": 0, "nothing": 3, "blocked": 4}[self.outcome]

    def as_json(self) -> dict:
        return asdict(self) | {"exit_code": self.exit_code}


@observed_cycle
def run_cycle(
    settings: Settings,
    *,
    inbox: Path | None = None,
    arrivals: Path | None = None,
    now: dt.datetime | None = None,
    approve_as: str | None = None,
    progress: Callable[..., None] | None = None,
) -> CycleResult:
    """Run every step once. Safe to repeat: what is done already is not done again.

    ``inbox`` defaults to the home's own, of which every drop is taken; a folder given by name is left as it is.
    ``now`` (aware) judges deadlines: by default the last arrival of ``arrivals``, else the system's clock.
    Raises WarehouseError for what a person can mend.
    """
    progress = progress or silent
    result = CycleResult()
    if now is None and arrivals is not None:
        now = last_arrival(arrivals, settings)
    with _step(result, "start"):
        check_disk(settings)
        database.start(settings)
    with database.connect(settings) as connection, ExitStack() as to_the_end:
        connection.autocommit = True
        first = _first_new_file(connection)
        with _step(result, "receive"), observed(settings, "receive", connection):
            if inbox is None and arrivals is None:
                result.faults = take_inbox(connection, settings, progress)
            else:
                from ingestion.receive import receive

                receive(connection, settings, inbox or settings.inbox, arrivals=arrivals, progress=progress)
        with _step(result, "load"), observed(settings, "load", connection):
            from ingestion.load import load

            if connection.execute("select exists (select from intake.file where outcome is null)").fetchone()[0]:
                to_the_end.enter_context(warming())
            load(connection, settings, progress=progress)
        _summarise_intake(connection, first, result)
        if not result.files and not something_to_build(connection, settings, now):
            if report_is_behind(connection, settings):
                with _step(result, "report"), observed(settings, "report", connection):
                    report(connection, settings, result)
            return result
        with _step(result, "build"), observed(settings, "build", connection):
            from warehouse.build import build

            week = _week_over(connection, settings, now)
            if week is None or build(settings, now=now, publish_week=week, progress=progress).publish_week is None:
                return result  # no week is over yet: what was loaded waits
        with _step(result, "judge"), observed(settings, "judge", connection):
            from expectations.judge import judge

            verdict = judge(connection, settings, now=now, publish_week=week, progress=progress)
        run = check_run(connection, verdict.check_run_id)
        result.verdict, result.blocking_zh, result.week = run["verdict"], run["blocking_zh"], run["publish_week"]
        _add_judgement(run, result)
        if result.verdict == "blocked":
            result.outcome = "blocked"
        else:
            with _step(result, "publish"), observed(settings, "publish", connection):
                publish_judged(connection, settings, verdict.check_run_id, approve_as, result)
        with _step(result, "report"), observed(settings, "report", connection):
            report(connection, settings, result)
    return result


# -- the clock and the disk ------------------------------------------------------------------------


def parse_time(text: str, settings: Settings) -> dt.datetime:
    """An ISO time; without an offset it is the city's. Raises WarehouseError."""
    try:
        value = dt.datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise WarehouseError(f"“{text}” is no time; write it like 2020-06-16T12:00:00+08:00.") from error
    return value if value.tzinfo else value.replace(tzinfo=settings.timezone)


def last_arrival(arrivals: Path, settings: Settings) -> dt.datetime:
    """The latest ``received_at`` of a manifest (CSV: path, received_at). Raises WarehouseError."""
    try:
        with Path(arrivals).open(encoding="utf-8-sig", newline="") as handle:
            times = [parse_time(row["received_at"], settings) for row in csv.DictReader(handle)]
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise WarehouseError(f"{arrivals} cannot be read as a list of arrivals (CSV with path, received_at): {error}") from error
    if not times:
        raise WarehouseError(f"{arrivals} lists no file.")
    return max(times)


def check_disk(settings: Settings, needed: int = ENOUGH_DISK) -> None:
    """Raises WarehouseError when less than ``needed`` bytes are free for the home."""
    settings.prepare()
    free = shutil.disk_usage(settings.home).free
    if free < needed:
        raise WarehouseError(
            f"Only {free / 2**30:.1f} GB are free at {settings.home}; {needed / 2**30:.0f} GB are needed. Free some disk or set WAREHOUSE_HOME."
        )


# -- the inbox -------------------------------------------------------------------------------------


def take_inbox(connection: psycopg.Connection, settings: Settings, progress: Callable[..., None] | None = None) -> list[str]:
    """Receive every file in the home's inbox, which holds none afterwards; returns a sentence for each drop set aside.

    A folder with a manifest (arrivals.csv) is a drop: its files came at the times listed there. Drops come first,
    in order of name, then all the rest as it lies. Names that begin with a dot are still being copied. A drop whose
    manifest cannot be followed moves to ``home/set_aside``, so that it does not hold up the others. A second caller
    waits for the first. Raises DiskFault, and leaves the drop where it lies, when the archive cannot take it.
    """
    connection.execute("select pg_advisory_lock(%s)", [INTAKE])
    try:
        return _take_drops(connection, settings, progress)
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(%s)", [INTAKE])


def _take_drops(connection: psycopg.Connection, settings: Settings, progress: Callable[..., None] | None) -> list[str]:
    from ingestion.door import senders
    from ingestion.receive import DiskFault, receive

    faults = []
    for left in settings.inbox.glob(f"{RECEIVED}*"):  # a run was killed while it cleared away
        _clear(settings, left)
    # a sender does not tell when its files came: where senders are configured, a list in the inbox is a file like any other
    for manifest in sorted(settings.inbox.glob(f"[!.]*/{MANIFEST}")) if senders(settings) is None else ():
        drop = manifest.parent
        try:
            said = receive(connection, settings, drop, arrivals=manifest, progress=progress)
        except DiskFault:
            raise
        except WarehouseError as error:
            aside = settings.home / "set_aside" / f"{drop.name}-{time.time_ns()}"
            aside.parent.mkdir(exist_ok=True)
            shutil.move(drop, aside)  # the inbox may be a volume of its own
            faults.append(f"{error}\nThe folder was moved to {aside}; mend it and move it back into the inbox.")
            continue
        faults += said.set_aside
        # out of sight in one step: a list half of whose files are gone could not be followed a second time
        _clear(settings, drop.rename(settings.inbox / f"{RECEIVED}{drop.name}"))
    said = receive(connection, settings, settings.inbox, progress=progress)
    faults += [*said.set_aside, *said.waiting]
    for folder in sorted((p for p in settings.inbox.rglob("*") if p.is_dir()), reverse=True):
        with suppress(OSError):  # not empty; or, while young, perhaps about to be filled
            if time.time() - folder.stat().st_mtime > FOLDER_SECONDS:
                folder.rmdir()
    return faults


def _clear(settings: Settings, received: Path) -> None:
    """Delete what the archive holds; files that the manifest did not list go back into the inbox."""
    (received / MANIFEST).unlink(missing_ok=True)
    for path in [p for p in received.rglob("*") if p.is_file()]:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if (settings.archive / digest[:2] / digest).exists():
            path.unlink()
        else:
            back = settings.inbox / received.name.removeprefix(RECEIVED) / path.relative_to(received)
            back.parent.mkdir(parents=True, exist_ok=True)
            path.rename(back)
    shutil.rmtree(received)


def mark_week(connection: psycopg.Connection, week: str, county: str | None = None) -> int:
    """Note the slices of a week's current submissions for building again; returns how many. Raises WarehouseError."""
    from warehouse.calendar import monday_of

    try:
        monday_of(week)
    except ValueError as error:
        raise WarehouseError(f"{week!r} is no reporting week; write it like 2020-W24.") from error
    marked = connection.execute(
        """insert into ops.pending_slice (form, county_code, week)
           select distinct form, county_code, week from intake.accepted_submission
           where week = %(week)s and (%(county)s::text is null or county_code = %(county)s)
           on conflict (form, county_code, week) do update set built = false, noted_at = clock_timestamp()""",
        {"week": week, "county": county},
    ).rowcount
    if not marked:
        raise WarehouseError(f"Nothing was accepted for {week}{' from ' + county if county else ''}: there is nothing to build again.")
    return marked


# -- building, judging, publishing -----------------------------------------------------------------


def something_to_build(connection: psycopg.Connection, settings: Settings, now: dt.datetime | None = None) -> bool:
    """Whether slices of a form with a mart are pending, or a week has come due that was never judged."""
    from warehouse.dbt_sources import forms_of_marts

    with_mart = list(forms_of_marts().values())
    return (
        connection.execute("select exists (select from ops.pending_slice where form = any(%s))", [with_mart]).fetchone()[0] or week_came_due(connection, settings, now) is not None
    )


def _week_over(connection: psycopg.Connection, settings: Settings, now: dt.datetime | None) -> str | None:
    """The newest reported week that is over. A cycle by hand publishes it; only Airflow waits for the due time."""
    from warehouse import calendar

    return calendar.publish_week(connection, now or clock(settings), settings.timezone, due=False)


def week_came_due(connection: psycopg.Connection, settings: Settings, now: dt.datetime | None = None) -> str | None:
    """The week to publish if its due time has passed since the checks last ran, else None."""
    from warehouse import calendar

    due = calendar.publish_week(connection, now or clock(settings), settings.timezone)
    if due is None:
        return None
    judged = connection.execute("select max(publish_week) from quality.check_run where verdict is not null").fetchone()[0]
    return due if judged is None or due > judged else None


def week_to_announce(connection: psycopg.Connection, settings: Settings) -> str | None:
    """The week that came due, once an hour until it has been judged: while it is, or if that fails, nobody needs to hear it each minute."""
    week, note = week_came_due(connection, settings), settings.home / "announced_week"
    if week is None:
        return None
    with suppress(OSError):
        if note.read_text(encoding="ascii") == week and time.time() - note.stat().st_mtime < ANNOUNCE_SECONDS:
            return None
    note.write_text(week, encoding="ascii")
    return week


def clock(settings: Settings) -> dt.datetime:
    """The system's time in the city's zone: the one place that reads it for a cycle."""
    return dt.datetime.now(settings.timezone)


def check_run(connection: psycopg.Connection, check_run_id: int) -> dict:
    """verdict, blocking_zh, publish_week, errors and warnings of one run of the checks."""
    row = connection.execute(
        "select verdict, blocking_zh, publish_week, errors, warnings from quality.check_run where check_run_id = %s", [check_run_id]
    ).fetchone()
    return dict(zip(("verdict", "blocking_zh", "publish_week", "errors", "warnings"), row, strict=True))


def publish_judged(
    connection, settings: Settings, check_run_id: int, approve_as: str | None, result: CycleResult, note: str | None = None
) -> None:
    """Publish what was judged and note number, week and rows in ``result``; 'nothing' if nothing changed.

    Raises WarehouseError if the run blocks, or if something was built after it: nobody has judged that.
    """
    from warehouse.approval import require_current
    from warehouse.publication import publish

    require_current(connection, check_run_id)
    publication = publish(connection, settings, check_run_id=check_run_id, approved_by=approve_as or UNREVIEWED, note=note)
    if publication is None:
        return
    latest = latest_publication(connection)
    result.outcome, result.publication = "published", latest["publication"]
    result.week, result.rows_opened, result.rows_closed = latest["week"], latest["rows_opened"], latest["rows_closed"]


def report(connection, settings: Settings, result: CycleResult) -> None:
    """Make the quality pages. A fault here is told, not raised: what is published is published."""
    try:
        from reporting.site import build_site

        result.report = str(build_site(connection, settings))
    except Exception as error:
        log.exception("The quality pages could not be made")
        result.report_fault = f"{type(error).__name__}: {error}"


def report_is_behind(connection: psycopg.Connection, settings: Settings) -> bool:
    """Whether a publication was made after the quality pages: a run was cut off between the two."""
    (published,) = connection.execute("select max(published_at) from store.publication").fetchone()
    index = settings.reports / "quality" / "index.html"
    return published is not None and (not index.is_file() or index.stat().st_mtime < published.timestamp())


def latest_publication(connection: psycopg.Connection) -> dict | None:
    row = connection.execute(
        """select publication_id, week, published_at, trigger, approved_by, rows_opened, rows_closed
           from store.publication order by publication_id desc limit 1"""
    ).fetchone()
    names = ("publication", "week", "published_at", "trigger", "approved_by", "rows_opened", "rows_closed")
    return dict(zip(names, row, strict=True)) if row else None


# -- figures ---------------------------------------------------------------------------------------


def _first_new_file(connection) -> int:
    """Number of the oldest file that this cycle will work on: waiting already, or the next to come."""
    return connection.execute(
        "select coalesce((select min(file_id) from intake.file where outcome is null), (select max(file_id) + 1 from intake.file), 1)"
    ).fetchone()[0]


def _summarise_intake(connection, first: int, result: CycleResult) -> None:
    result.files = dict(
        connection.execute("select coalesce(outcome, 'waiting'), count(*) from intake.file where file_id >= %s group by 1 order by 1", [first]).fetchall()
    )
    result.submissions = dict(
        connection.execute("select state, count(*) from intake.submission where file_id >= %s group by 1 order by 1", [first]).fetchall()
    )
    rows = connection.execute(
        "select coalesce(sum(rows_read), 0), coalesce(sum(rows_loaded), 0), coalesce(sum(rows_rejected), 0) from intake.submission where file_id >= %s",
        [first],
    ).fetchone()
    result.rows = dict(zip(("read", "loaded", "rejected"), map(int, rows), strict=True))
    result.findings = {"error": 0, "warning": 0} | dict(
        connection.execute(
            "select severity, count(*) from quality.finding where stage <> 'judgement' and file_id >= %s group by 1", [first]
        ).fetchall()
    )


def _add_judgement(run: dict, result: CycleResult) -> None:
    result.findings = {
        "error": result.findings["error"] + (run["errors"] or 0), "warning": result.findings["warning"] + (run["warnings"] or 0),
    }


@contextmanager
def _step(result: CycleResult, name: str):
    began = time.monotonic()
    try:
        yield
    finally:
        result.seconds[name] = round(time.monotonic() - began, 2)


def describe(result: CycleResult) -> str:
    """The summary for a person: a few lines of text."""

    def counts(values: dict[str, int]) -> str:
        return ", ".join(f"{n:,} {name}" for name, n in values.items() if n) or "none"

    lines = [
        f"Files        {counts(result.files)}",
        f"Submissions  {counts(result.submissions)}",
        f"Rows         {counts(result.rows)}",
        f"Findings     {counts(result.findings)}",
    ]
    if result.outcome == "published":
        lines.append(f"Published    number {result.publication}, week {result.week}: {result.rows_opened:,} rows opened, {result.rows_closed:,} closed")
    elif result.outcome == "blocked":
        lines.append(f"Blocked      {result.blocking_zh or 'the checks found errors'} (nothing published; the last publication stands)")
    else:
        lines.append("Published    nothing: no figure changed since the last publication")
    if result.report:
        lines.append(f"Report       {result.report}")
    if result.report_fault:
        lines.append(f"Report       not made: {result.report_fault}")
    lines += [f"Set aside    {fault}" for fault in result.faults]
    lines.append("Seconds      " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in result.seconds.items()))
    return os.linesep.join(lines)
