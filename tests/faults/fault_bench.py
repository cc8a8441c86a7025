"""A published warehouse to break: prepared once, copied for each fault, and told apart row by row from an undisturbed run."""

from __future__ import annotations

import csv
import datetime as dt
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

import psycopg
from psycopg import sql

from demo.city import week_name
from demo.generate import DemoSet, write_week
from demo.places import load_counties
from demo.styles import assign
from ingestion.contracts import contracts
from warehouse.calendar import due_at
from warehouse.embedded import EmbeddedServer
from warehouse.publication import verify
from warehouse.settings import Settings

STYLES = ("continued", "by_hand", "old_excel")  # of the counties: two return forms with errors, one sends a file that is none
FORMS = ("EMP01", "SOC01", "REL01", "COP03", "FUN01", "MON02")
WEEK = 23  # the week whose cycle is disturbed; the one before is published
WEEKS = ((2020, WEEK - 1), (2020, WEEK))
YEARS_END = ((2020, 53), (2021, 1))
APPROVER = "审核人甲"
LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 300.0  # a machine that others use as well
WAREHOUSE = [str(Path(sys.executable).with_name("warehouse"))]
# the same program without the fifteen seconds of CPU that importing and running Great Expectations takes
QUICK = (
    "import functools, expectations.judge as j, expectations.validation_process as v; "
    "j.judge = functools.partial(j.judge, great_expectations=False); v.start = lambda: None"
)
# the same where two gigabytes are not free to begin with, so that the disk can run full in the middle
SMALL_DISK = "import warehouse.cycle as c; c.check_disk.__defaults__ = (0,)"
MAIN = "from warehouse.cli import main; main()"


@dataclass
class Site:
    """A home with the week before published and the week's files in its inbox."""

    settings: Settings
    now: dt.datetime
    quick: bool = True
    small_disk: bool = False
    environment: dict[str, str] = field(default_factory=dict)  # of the runs, besides this process's own
    wire: object = None  # the line to PostgreSQL that a fault can cut

    @property
    def url(self) -> str:
        return self.settings.url or self.server.url()

    @property
    def server(self) -> EmbeddedServer:
        return EmbeddedServer(self.settings)

    def connect(self, **options) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True, **options)

    def start(self, *arguments: str) -> Run:
        """Begin ``warehouse cycle``, or another command of warehouse, as a process of its own."""
        environment = {k: v for k, v in os.environ.items() if k not in ("WAREHOUSE_URL", "WAREHOUSE_HOME")}
        environment["WAREHOUSE_HOME"] = str(self.settings.home)
        if self.settings.url:
            environment["WAREHOUSE_URL"] = self.settings.url
        environment |= self.environment
        changes = [*([QUICK] if self.quick else []), *([SMALL_DISK] if self.small_disk else [])]
        program = [sys.executable, "-c", "\n".join([*changes, MAIN])] if changes else WAREHOUSE
        command = [*program, *(arguments or ("cycle", "--now", self.now.isoformat(), "--approve-as", APPROVER))]
        return Run(
            subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                start_new_session=True,
            )
        )  # fmt: skip


class Run:
    """A cycle under way: its process and the lines it has printed so far."""

    def __init__(self, process: subprocess.Popen):
        self.process, self.lines, self.began = process, [], time.monotonic()
        self.others: list[Run] = []  # runs at the same time that a fault has started
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def until_line(self, pattern: str) -> None:
        """Wait for a progress line. Raises AssertionError if the run ends without it."""
        with self._changed:
            seen = self._changed.wait_for(
                lambda: any(re.search(pattern, line) for line in self.lines) or not self._reader.is_alive(), PATIENCE_SECONDS
            )
            assert seen and any(re.search(pattern, line) for line in self.lines), f"no line {pattern!r}:\n{self.output}"

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Look again and again until ``condition()`` is true. Raises AssertionError if the run ends before."""
        until = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert self.process.poll() is None, f"the run ended before {what}:\n{self.output}"
            assert time.monotonic() < until, f"no {what}:\n{self.output}"
            time.sleep(LOOK_SECONDS)

    def end(self) -> int:
        """Wait until the run has ended; returns its exit code, negative for a signal."""
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return code

    def children(self, name: str) -> list[int]:
        """Processes that the run has started and whose command line has ``name`` in it."""
        found = []
        for folder in Path(f"/proc/{self.process.pid}/task").glob("*"):
            try:
                numbers = (folder / "children").read_text().split()
                found += [int(n) for n in numbers if name in Path(f"/proc/{n}/cmdline").read_text()]
            except OSError:  # gone meanwhile
                continue
        return found


@dataclass
class Bench:
    """The prepared home, its durable server, and what an undisturbed run makes of it."""

    folder: Path
    settings: Settings
    now: dt.datetime
    weeks: tuple[tuple[int, int], tuple[int, int]] = WEEKS
    files: int = 0
    before: dict[str, list] = field(default_factory=dict)
    after: dict[str, list] = field(default_factory=dict)
    seconds: float = 0.0
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def prepare(cls, folder: Path, quick: bool = True, weeks: tuple[tuple[int, int], tuple[int, int]] = WEEKS) -> Bench:
        """Publish the first week, put the second into the inbox, stop, and run an undisturbed copy."""
        settings = replace(Settings.from_environment(), home=folder / "prepared", url=None)
        settings.prepare()
        before, disturbed = (due_at(week_name(*week), "*", {}, settings.timezone) for week in weeks)
        bench = cls(folder, settings, disturbed + dt.timedelta(days=3), weeks)
        first, drop = _write_files(folder, weeks)
        site = Site(settings, before + dt.timedelta(hours=1), quick)
        first.folder.rename(settings.inbox / "first")
        run = site.start()
        assert run.end() == 0, run.output
        drop.rename(settings.inbox / "delivery")
        bench.files = sum(1 for _ in csv.reader((settings.inbox / "delivery" / "arrivals.csv").open(encoding="utf-8"))) - 1
        bench.before = state(site)
        EmbeddedServer(settings).stop()  # a copy of its files is whole only then
        _copy(settings.home / "postgres", folder / "postgres")
        EmbeddedServer(settings).start()
        undisturbed = bench.site(quick=quick)
        run = undisturbed.start()
        assert run.end() == 0, run.output
        bench.seconds = time.monotonic() - run.began
        bench.after = state(undisturbed)
        return bench

    def site(self, *, own_server: bool = False, quick: bool = True) -> Site:
        """A copy to break: a database of the shared server, or a home with a server of its own."""
        with self._lock:  # two copies of one database at a time are refused
            self._count += 1
            home = self.folder / f"home{self._count}"
            shutil.copytree(self.settings.home, home, ignore=shutil.ignore_patterns("postgres"))
            if own_server:
                _copy(self.folder / "postgres", home / "postgres")
                site = Site(replace(self.settings, home=home), self.now, quick)
                site.server.start()
                return site
            name = f"site{self._count}"
            server = EmbeddedServer(self.settings)
            with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
                admin.execute(f"create database {name} template warehouse strategy file_copy")
            return Site(replace(self.settings, home=home, url=server.url(name)), self.now, quick)

    def close(self) -> None:
        EmbeddedServer(self.settings).stop()


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)  # with owners, which PostgreSQL insists on
    (target / "port").unlink(missing_ok=True)


def _write_files(folder: Path, weeks: tuple[tuple[int, int], tuple[int, int]]) -> tuple[DemoSet, Path]:
    """Two weeks of three counties. The second brings corrections of the first, returned forms, a duplicate and a file that is none."""
    counties = load_counties(2020)
    styles = assign(counties, 2020)
    codes = [c.code for style in STYLES for c in counties if styles[c.code].key == style]
    assert len(codes) == len(STYLES)
    (first_year, first_week), (year, number) = weeks
    drop = folder / "delivery"
    with patch("demo.generate.load_counties", lambda _: counties):  # next year's caps and codes are nobody's to invent
        first = write_week(folder / "first", first_week, year=first_year, counties=codes, forms=FORMS, faults=True)
        week = write_week(drop, number, year=year, counties=codes, forms=FORMS, faults=True)
        mended = write_week(folder / "mended", first_week, year=first_year, counties=codes[:2], forms=FORMS)
    assert {f.outcome for f in week.files} >= {"partly_loaded", "refused"}, "the demonstration no longer brings what this bench needs"
    arrivals = [(f.path, f.received_at) for f in week.files]
    shutil.copytree(mended.folder, drop / "mended", ignore=shutil.ignore_patterns("arrivals.csv"))
    for file in mended.files:
        arrivals.append((f"mended/{file.path}", week.files[0].received_at - dt.timedelta(hours=1)))
    again = next(f for f in week.files if f.outcome == "partly_loaded")
    shutil.copy(drop / again.path, drop / f"again{Path(again.path).suffix}")
    arrivals.append((f"again{Path(again.path).suffix}", week.files[-1].received_at + dt.timedelta(hours=5)))
    with (drop / "arrivals.csv").open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([("path", "received_at"), *((path, when.isoformat()) for path, when in sorted(arrivals, key=lambda a: a[1]))])
    return first, drop


# -- what stands -------------------------------------------------------------------------------------

NAMED = """
with named as (
    select s.*, concat_ws('/', s.form, coalesce(s.county_code, s.county_text), s.week, s.version, f.original_path) as submission
    from intake.submission s join intake.file f using (file_id)
)
"""
PARTS = {
    "files": """select f.original_path, f.sha256, f.received_at, f.outcome, f.message_zh, o.original_path
                from intake.file f left join intake.file o on o.file_id = f.duplicate_of""",
    "submissions": NAMED
    + """select n.submission, n.state, n.received_at, n.as_of_date, n.rows_read, n.rows_loaded, n.rows_rejected, n.contract_version,
                n.member, n.sheet, n.change_note, n.layout::text, r.submission
         from named n left join named r on r.submission_id = n.superseded_by""",
    "rejected rows": NAMED + "select n.submission, r.row_no, r.block_no, r.sheet_row from intake.rejected_row r join named n using (submission_id)",
    "findings": NAMED
    + """select n.submission, f.rule_id, f.severity, f.stage, f.week, f.county_code, f.form, f.member, f.sheet, f.cell, f.row_key,
                f.field, f.value, f.expected, f.difference, f.message_zh, f.status
         from quality.finding f left join named n using (submission_id)""",
    "reporting status": NAMED
    + """select r.week, r.county_code, r.form, r.status, r.due_at, n.submission
         from quality.reporting_status r left join named n using (submission_id)""",
    "results": NAMED
    + """select r.rule_id, r.form, r.week, r.county_code, r.status, r.severity, r.rows_checked, r.rows_violated, r.note_zh, n.submission
         from quality.check_result_current r left join named n using (submission_id)""",
    "pending": "select form, county_code, week, built from ops.pending_slice",
    "ledger": "select publication_id, week, trigger, approved_by, rows_opened, rows_closed, restores from store.publication",
    "published submissions": NAMED
    + "select n.submission, p.opened_in, p.closed_in from store.publication_submission p join named n using (submission_id)",
}


def state(site: Site) -> dict[str, list]:
    """Everything a county or a reader could tell two runs apart by; numbers given by the database are put into words."""
    with site.connect() as connection:
        found = {name: _sorted(connection, query) for name, query in PARTS.items()}
        for code in contracts().codes:
            found[f"raw {code}"] = _rows_named(connection, "raw", code.lower())
        found |= marts(connection)
    found["outbox"] = sorted(p.relative_to(site.settings.outbox).as_posix() for p in site.settings.outbox.rglob("*") if p.is_file())
    broken = [p for p in site.settings.outbox.rglob("*.xlsx") if not zipfile.is_zipfile(p)]
    found["outbox, broken"] = broken
    found["archive"] = sorted(p.name for p in site.settings.archive.rglob("*") if p.is_file() and not p.name.startswith("."))
    return found


def marts(connection: psycopg.Connection) -> dict[str, list]:
    """Every published row, by mart."""
    names = [name for (name,) in connection.execute("select viewname from pg_views where schemaname = 'marts' and viewname <> 'dim_publication' order by 1")]
    return {f"marts.{name}": _rows_named(connection, "marts", name) for name in names}


def _rows_named(connection: psycopg.Connection, schema: str, table: str) -> list:
    relation = sql.Identifier(schema, table)
    has = connection.execute(
        "select true from information_schema.columns where (table_schema, table_name, column_name) = (%s, %s, 'submission_id')", [schema, table]
    ).fetchone()
    if has:
        query = sql.SQL(NAMED + "select n.submission, (to_jsonb(m) - 'submission_id')::text from {} m left join named n using (submission_id)")
    else:
        query = sql.SQL("select to_jsonb(m)::text from {} m")
    return sorted(connection.execute(query.format(relation)).fetchall(), key=repr)


def _sorted(connection: psycopg.Connection, query: str) -> list:
    return sorted(connection.execute(query).fetchall(), key=repr)


def differences(have: dict[str, list], want: dict[str, list]) -> list[str]:
    """One line for each part that differs: how many rows lack, how many are too many, and one of each."""
    told = []
    for name in sorted(have.keys() | want.keys()):
        ours, theirs = have.get(name, []), want.get(name, [])
        if ours == theirs:
            continue
        lacking, extra = _without(theirs, ours), _without(ours, theirs)
        told.append(f"{name}: {len(lacking)} lacking, {len(extra)} too many, such as {lacking[:1]} and {extra[:1]}")
    return told


def _without(these: list, those: list) -> list:
    left = list(map(repr, those))
    rest = []
    for row in map(repr, these):
        if row in left:
            left.remove(row)
        else:
            rest.append(row)
    return rest


def faults_of(site: Site) -> list[str]:
    """What must hold after any fault, without looking at the undisturbed run: conservation, the ledger, nothing twice."""
    found = []
    with site.connect() as connection:
        found += verify(connection)
        for code in contracts().codes:
            lost = connection.execute(
                sql.SQL(
                    """select s.submission_id from intake.submission s
                       where s.form = {code}
                         and ((select count(*) from raw.{table} r where r.submission_id = s.submission_id),
                              (select count(*) from intake.rejected_row r where r.submission_id = s.submission_id), s.rows_read)
                             is distinct from (s.rows_loaded::bigint, s.rows_rejected::bigint, s.rows_loaded + s.rows_rejected)"""
                ).format(code=sql.Literal(code), table=sql.Identifier(code.lower()))
            ).fetchall()
            found += [f"submission {number} of {code}: rows read are not rows loaded and rejected" for (number,) in lost]
        twice = connection.execute(
            """select form, county_code, week from intake.submission where state <> 'returned' and superseded_by is null
               group by 1, 2, 3 having count(*) > 1"""
        ).fetchall()
        found += [f"{slice_} is current twice" for slice_ in twice]
        twice = connection.execute("select original_path from intake.file group by sha256, original_path, received_at having count(*) > 1").fetchall()
        found += [f"{path} was recorded twice" for (path,) in twice]
    left = [p.name for p in site.settings.inbox.rglob("*") if p.is_file()]
    return found + [f"{name} still lies in the inbox" for name in left]


class Reader:
    """Reads all marts in one statement, again and again; notes every state it sees. Survives a server that dies."""

    def __init__(self, site: Site):
        self.site, self.seen, self.errors, self.reads = site, set(), [], 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Reader:
        with self.site.connect() as connection:
            self.query = fingerprint_query(connection)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.wait(0.2)
        self._ended.set()
        self._thread.join()

    def _read(self) -> None:
        connection = None
        while not self._ended.is_set():
            try:
                if connection is None:
                    connection = self.site.connect(connect_timeout=5)
                self.seen.add(connection.execute(self.query).fetchone())
                self.reads += 1
            except psycopg.OperationalError:  # the server was killed, or is recovering
                connection = None
            except (psycopg.Error, OSError) as error:
                self.errors.append(repr(error))
            self._ended.wait(0.15)
        if connection is not None:
            connection.close()


def fingerprint_query(connection: psycopg.Connection) -> sql.Composed:
    """One statement: the publication's number and a hash of the rows of every mart. Numbers of submissions are left out."""
    names = [name for (name,) in connection.execute("select viewname from pg_views where schemaname = 'marts' and viewname <> 'dim_publication' order by 1")]
    rows = "(select md5((to_jsonb(m) - 'submission_id')::text) as h from {} m)"
    hashes = [sql.SQL(f"(select md5(string_agg(h, '' order by h)) from {rows} t)").format(sql.Identifier("marts", name)) for name in names]
    return sql.SQL("select (select max(publication_id) from marts.dim_publication), {}").format(sql.SQL(", ").join(hashes))


def fingerprint(site: Site, publication: int | None = None) -> tuple:
    with site.connect() as connection:
        if publication:
            connection.execute(f"set warehouse.publication = '{publication}'")
        return connection.execute(fingerprint_query(connection)).fetchone()
