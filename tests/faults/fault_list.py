"""The faults: where each one strikes, with what, and what must stand right after it.

A blow inside of a transaction is struck while the harness holds a lock that the step runs into there, so that it hits
that place on any machine at any speed; the others follow a progress line, or come at a moment drawn by lot.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import psycopg
from fault_bench import Bench, Reader, Run, Site, differences, faults_of, fingerprint, state

Blow = Callable[[Site, Run], None]


@dataclass(frozen=True)
class Fault:
    """``strike`` waits for its moment and strikes. ``stands``: the publication readers must see right afterwards."""

    name: str
    step: str
    struck: str  # for the table: what is killed, and when
    strike: Blow
    stands: int = 1
    own_server: bool = False
    survives: bool = False  # the run itself mends it and goes on
    whole_program: bool = False  # with Great Expectations
    around: Callable[[Bench, Site], AbstractContextManager[Callable[[], None]]] | None = None  # yields what ends the trouble
    differs: frozenset[str] = frozenset()  # parts of the state that the fault itself makes others


@dataclass
class Outcome:
    """What came of a fault. ``wrong`` has a sentence for everything that is not as it must be; empty is a pass."""

    fault: Fault
    wrong: list[str] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)  # exit code of the run that was struck, and of those beside it
    again: int = 0  # exit code of the same command after that
    reads: int = 0
    seconds: float = 0.0
    after: str = ""  # what was there right after the blow, in words
    output: str = ""


# -- blows -----------------------------------------------------------------------------------------


def kill(site: Site, run: Run) -> None:
    os.kill(run.process.pid, signal.SIGKILL)


def kill_group(site: Site, run: Run) -> None:
    os.killpg(run.process.pid, signal.SIGKILL)


def kill_server(site: Site, run: Run) -> None:
    site.server.kill()


def kill_reader(site: Site, run: Run) -> None:
    found = run.children("ingestion.reader_process")
    if found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(found[0], signal.SIGKILL)


HARNESS = "fault harness"

# -- moments ---------------------------------------------------------------------------------------


def at_lock(statement: str, blow: Blow = kill, goes_on: bool = False) -> Blow:
    """Strike when the run waits for a lock that this statement takes. ``goes_on``: let go then, and the run meets the trouble."""

    def strike(site: Site, run: Run) -> None:
        with held(site, statement.format(sha256=a_file_in_the_middle(site))):
            until_blocked(site, run)
            blow(site, run)
            if run.process.poll() is None and not goes_on:
                run.process.wait(60)

    return strike


def at_line(pattern: str, blow: Blow = kill) -> Blow:
    def strike(site: Site, run: Run) -> None:
        run.until_line(pattern)
        blow(site, run)

    return strike


def when_published(site: Site, run: Run) -> None:
    """Strike when the second publication is committed: the run is about to write the report."""
    with site.connect() as connection:
        run.until(lambda: connection.execute("select count(*) from store.publication").fetchone()[0] > 1, "a publication")
    kill(site, run)


def when_reading(site: Site, run: Run) -> None:
    """Strike the first process that reads workbooks as soon as it is there."""
    run.until(lambda: run.children("ingestion.reader_process"), "a reader process")
    kill_reader(site, run)


def after(seconds: float, blow: Blow) -> Blow:
    """Strike that long after the start, whatever the run is doing; a run that is done by then is not struck."""

    def strike(site: Site, run: Run) -> None:
        with contextlib.suppress(Exception):
            run.process.wait(max(0.0, seconds - (time.monotonic() - run.began)))
        if run.process.poll() is None:
            blow(site, run)

    return strike


def in_turn(*strikes: Blow) -> Blow:
    def strike(site: Site, run: Run) -> None:
        for one in strikes:
            one(site, run)

    return strike


@contextlib.contextmanager
def held(site: Site, statement: str) -> Iterator[None]:
    connection = psycopg.connect(site.url, application_name=HARNESS)  # which no fault ends
    try:
        connection.execute(statement)
        yield
    finally:
        with contextlib.suppress(psycopg.OperationalError):  # the server may be what was killed
            connection.close()


def until_blocked(site: Site, run: Run, processes: int = 1) -> None:
    with site.connect() as connection:
        query = """select count(distinct pid) >= %s from pg_locks l where not granted and pid <> pg_backend_pid()
                   and (l.database = (select oid from pg_database where datname = current_database()))"""
        run.until(lambda: connection.execute(query, [processes]).fetchone()[0], "a wait for the lock")


def a_file_in_the_middle(site: Site) -> str:
    files = sorted(p for p in (site.settings.inbox / "delivery").rglob("*.xlsx"))
    return hashlib.sha256(files[len(files) // 2].read_bytes()).hexdigest() if files else ""


SHARE = "lock table {} in share mode"  # readers pass, writers wait
ON_FILE = "select pg_advisory_xact_lock(hashtextextended('{sha256}', 0))"
WRITERS = {
    "load": SHARE.format("ops.pending_slice"),
    "build": SHARE.format("candidate.fct_consumption_weekly"),
    "judge": SHARE.format("quality.check_result"),
    "publish": SHARE.format("store.publication"),
}

EACH_STEP = (
    Fault("receive", "receive", "`kill -9` while one of the files is being recorded", at_lock(ON_FILE)),
    Fault("load", "load", "`kill -9` inside the batch's transaction, rows already moved into `raw`", at_lock(WRITERS["load"])),
    Fault("build", "build", "`kill -9` inside dbt, one fact being written", at_lock(WRITERS["build"])),
    Fault("judge", "judge", "`kill -9` inside the judgement's transaction", at_lock(WRITERS["judge"])),
    Fault("publish", "publish", "`kill -9` inside the publication, all rows opened and closed, the ledger's line not yet written", at_lock(WRITERS["publish"])),
    Fault("report", "report", "`kill -9` right after the publication was committed", when_published, stands=2),
)
OTHERS = (
    Fault("outbox", "load", "`kill -9` of a process that reads workbooks, then of the run while it writes the returned ones",
          in_turn(when_reading, at_line("returned workbooks 1/"))),
    Fault("server", "publish", "`kill -9` of PostgreSQL inside the publication", at_lock(WRITERS["publish"], kill_server), own_server=True),
)
MORE = (
    Fault("reader", "load", "`kill -9` of a process that reads workbooks; the run goes on by itself", when_reading, stands=2, survives=True),
    Fault("server load", "load", "`kill -9` of PostgreSQL inside the batch's transaction", at_lock(WRITERS["load"], kill_server), own_server=True),
    Fault("server build", "build", "`kill -9` of PostgreSQL while dbt writes", at_lock(WRITERS["build"], kill_server), own_server=True),
    Fault("server judge", "judge", "`kill -9` of PostgreSQL inside the judgement's transaction", at_lock(WRITERS["judge"], kill_server), own_server=True),
    Fault("expectations", "judge", "`kill -9` while Great Expectations reads the candidates", at_line("validating marts"), whole_program=True),
    Fault("dbt start", "build", "`kill -9` while dbt parses its project", at_line("building slices")),
    Fault("group", "build", "`kill -9` of the run and all its children while dbt runs", at_line("dbt models", kill_group)),
)


# -- the proof -------------------------------------------------------------------------------------


def prove(bench: Bench, fault: Fault) -> Outcome:
    """Strike, look, run the same command again, compare with the undisturbed run; a reader looks on all the time."""
    began, outcome = time.monotonic(), Outcome(fault)
    site, run = bench.site(own_server=fault.own_server, quick=not fault.whole_program), None
    try:
        with fault.around(bench, site) if fault.around else nullcontext(_nothing) as mend, Reader(site) as reader:
            old = fingerprint(site)
            run = site.start()
            fault.strike(site, run)
            outcome.ended = [one.end() for one in (run, *run.others)]
            outcome.output = "\n-- beside it --\n".join(one.output for one in (run, *run.others))
            mend()
            if fault.own_server:
                site.server.start()  # for the look; the run to come would start it itself
            outcome.after = _standing(site, fault, old, outcome)
            run = site.start()
            outcome.again = run.end()
            outcome.output += "\n-- again --\n" + run.output
            _compare(bench, site, outcome)
            allowed = {old, fingerprint(site), *_published_between(site)}
        outcome.reads = reader.reads
        outcome.wrong += [f"a reader saw a mixture in publication {seen[0]}" for seen in reader.seen - allowed]
        outcome.wrong += [f"a reader failed: {error}" for error in reader.errors]
    except (AssertionError, psycopg.Error, OSError, subprocess.SubprocessError) as error:  # a moment that never came, a run that ended before it
        outcome.wrong.append(str(error))
    finally:
        if run is not None and run.process.poll() is None:
            kill_group(site, run)
        if fault.own_server and site.server.folder.exists():  # with a disk of its own it is gone already
            site.server.stop()
        outcome.seconds = time.monotonic() - began
    return outcome


def _without(found: dict[str, list], parts: frozenset[str]) -> dict[str, list]:
    """The state without what a fault itself makes others; where that is the ledger, without the numbers of publications as well."""
    if not parts:
        return found
    number = re.compile(r'"publication_id": \d+, ')
    return {name: sorted((tuple(number.sub("", v) if isinstance(v, str) else v for v in row) if isinstance(row, tuple) else row for row in rows), key=repr)
            for name, rows in found.items() if name not in parts}  # fmt: skip


def _nothing() -> None:
    """No trouble to end."""


def _published_between(site: Site) -> set[tuple]:
    """What readers may have seen besides the old and the last publication, where a fault makes three of two."""
    with site.connect() as connection:
        numbers = [n for (n,) in connection.execute("select publication_id from store.publication order by 1")]
    seen = set()
    for number in numbers[1:-1]:
        as_it_was = fingerprint(site, number)
        seen.add((number, *as_it_was[1:]))
    return seen


def _standing(site: Site, fault: Fault, old: tuple, outcome: Outcome) -> str:
    """Note what is wrong right after the blow; returns in words what there was."""
    with site.connect() as connection:
        publications, files, waiting, submissions, pending, built = connection.execute(
            """select (select count(*) from store.publication), (select count(*) from intake.file),
                      (select count(*) from intake.file where outcome is null), (select count(*) from intake.submission),
                      (select count(*) from ops.pending_slice where not built), (select count(*) from ops.pending_slice where built)"""
        ).fetchone()
    if fault.stands and publications != fault.stands:
        outcome.wrong.append(f"publication {publications} stands after the blow, not {fault.stands}")
    if publications == 1 and fingerprint(site) != old:
        outcome.wrong.append("the published rows changed without a publication")
    if not fault.survives and fault.stands and outcome.ended == [0]:
        outcome.wrong.append("the blow missed: the run ended well")
    if fault.survives and (0 not in outcome.ended or not set(outcome.ended) <= {0, 2, 3}):
        outcome.wrong.append(f"the run did not survive: {outcome.ended}")
    return (
        f"publication {publications} stands; {files} files recorded, {waiting} of them waiting; {submissions} submissions; "
        f"{pending} slices to build, {built} built and unpublished"
    )


def _compare(bench: Bench, site: Site, outcome: Outcome) -> None:
    if outcome.again not in (0, 3):
        outcome.wrong.append(f"the same command again ended with {outcome.again}")

    def left_out(found):
        return _without(found, outcome.fault.differs)

    outcome.wrong += differences(left_out(state(site)), left_out(bench.after))
    outcome.wrong += faults_of(site)
    index = site.settings.reports / "quality" / "index.html"
    with site.connect() as connection:
        (published,) = connection.execute("select extract(epoch from max(published_at)) from store.publication").fetchone()
    if not index.is_file() or index.stat().st_mtime < float(published):
        outcome.wrong.append("the quality pages are older than the publication")
