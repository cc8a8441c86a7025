"""`make run`: a supervisor that brings everything up, has a demonstration published by Airflow, and stays.

How far a home has come is in ``home/run_state.json``; every step looks at what is there before it does anything, so
a run that was cut off, even by kill -9, is taken up by the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

from warehouse import cycle, database
from warehouse.airflow_api import AirflowApi, describe_tasks
from warehouse.airflow_services import RESTARTS, USER, AirflowServices, end_sessions, tail
from warehouse.embedded import EmbeddedServer
from warehouse.progress import Progress
from warehouse.settings import Settings, WarehouseError

STATE_VERSION = 1
SEED = 2020
READY_SECONDS = 180
QUIET_BEFORE_NUDGE = 8.0  # seconds without any run before one is started anew
DATABASE_SECONDS = 5.0  # between two looks at whether the database is up
APPROVE = "warehouse_approve"  # Airflow variable that the gate reads
INTAKE, BUILD = "receive_and_load", "build_and_publish"


class Stopped(Exception):
    """Somebody asked us to stop (Ctrl-C, SIGTERM, closed terminal)."""


class RunFailed(WarehouseError):
    """A run in Airflow ended without a publication."""


def run(settings: Settings, *, exit_when_published: bool = False, weeks: int = 26) -> int:
    """Bring everything up and stay until stopped; returns the exit code (0 stopped or published, 4 blocked, 1 failed)."""
    supervisor = Supervisor(settings, weeks)
    with supervisor.only_one(), supervisor.signals(), supervisor.progress:
        try:
            supervisor.bring_up()
            supervisor.publish_demonstration()
            supervisor.tell()
            if not exit_when_published:
                supervisor.stay()
            return 0
        except Stopped:
            return 0
        except RunFailed as error:
            supervisor.progress.line(str(error))
            if exit_when_published:
                return 4 if supervisor.blocked else 1
            supervisor.progress.line(f"Everything stays up so that you can look: {supervisor.services.address} (Ctrl-C to stop)")
            with contextlib.suppress(Stopped):
                supervisor.stay()
            return 4 if supervisor.blocked else 1
        finally:
            supervisor.shut_down()


class Supervisor:
    """One `make run`. Its methods are called in the order in which they stand here."""

    def __init__(self, settings: Settings, weeks: int):
        self.settings = settings
        self.weeks = weeks
        self.services = AirflowServices(settings)
        self.server = EmbeddedServer(settings)
        self.database_restarts, self.database_seen = 0, time.monotonic()
        self.progress = Progress()
        self.generator: subprocess.Popen | None = None
        self.seconds: dict[str, float] = {}
        self.blocked = False
        self.began = time.monotonic()

    # -- one at a time, and stopped in order -------------------------------------------------------

    @contextlib.contextmanager
    def only_one(self) -> Iterator[None]:
        """Hold the home's lock. Raises WarehouseError if another supervisor does."""
        cycle.check_disk(self.settings)
        path = self.settings.home / "run.lock"
        with path.open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                handle.seek(0)
                raise WarehouseError(
                    f"`warehouse run` is up already for {self.settings.home} (process {handle.read().strip()}). "
                    "Stop it with Ctrl-C, or set WAREHOUSE_HOME to another folder."
                ) from error
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
            yield

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        def stop(number, frame):
            raise Stopped

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def shut_down(self) -> None:
        """Stop all that was started; further signals wait, because half a stop leaves orphans."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self.progress("Stopping Airflow and the database")
        if self.generator and self.generator.poll() is None:
            end_sessions({self.generator.pid}, 2.0)
            self.generator.wait()
        self.services.stop()
        if self.settings.url is None:
            self.server.stop()
        self.progress.line("Stopped.")

    # -- up ----------------------------------------------------------------------------------------

    def bring_up(self) -> None:
        state = self.state
        stale = self.services.end_stale()
        if stale:
            self.progress.line(f"Ended {stale} processes that an earlier run left behind")
        if not state.get("generated"):
            self._start_generator()
        self.progress("Starting the database")
        with self._phase("database"):
            database.start(self.settings)
        self.progress("Preparing Airflow's database")
        with self._phase("airflow database"):
            self.services.choose_port()
            self.services.prepare()
        with self._phase("airflow start"):
            self.api = AirflowApi(self.services.address, USER, self.services.password)
            self.services.start()
            self._wait_for_airflow(lambda: self.api.healthy() and self._has_dags())
        with self._phase("rest of demonstration data"):
            self._wait_for_generator()

    def _start_generator(self) -> None:
        draft = self.settings.home / "demo.partial"
        shutil.rmtree(draft, ignore_errors=True)
        self.generator_log = self.settings.logs / "demo.log"
        with self.generator_log.open("wb") as out:
            self.generator = subprocess.Popen(
                [sys.executable, "-m", "demo.generate", str(draft), "--weeks", str(self.weeks), "--counties", "12", "--seed", str(SEED)],
                env=self.services.marked_environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip
        self.generator_began = time.monotonic()

    def _wait_for_generator(self) -> None:
        if self.generator is None:
            return
        while self.generator.poll() is None:
            self.progress("Writing the counties' demonstration workbooks")
            time.sleep(0.5)
        if self.generator.returncode:
            raise WarehouseError(f"The demonstration data could not be made; {self.generator_log} ends:\n{tail(self.generator_log)}")
        (self.settings.home / "demo.partial").rename(self.settings.home / "demo")
        self._note(generated=True, weeks=self.weeks)

    def _wait_for_airflow(self, ready: Callable[[], bool]) -> None:
        until = time.monotonic() + READY_SECONDS
        while not ready():
            self._check_services()
            if time.monotonic() > until:
                raise WarehouseError(f"Airflow was not ready within {READY_SECONDS} seconds; its logs are in {self.services.logs}.")
            self.progress("Starting Airflow")
            time.sleep(0.5)

    def _has_dags(self) -> bool:
        with contextlib.suppress(OSError):
            return {INTAKE, BUILD} <= self.api.dags()
        return False

    def _check_services(self) -> None:
        """Start again what died. Raises WarehouseError when that has been tried too often."""
        now = time.monotonic()
        if self.settings.url is None and now > self.database_seen + DATABASE_SECONDS:
            self.database_seen = now
            self._check_database()
        for line in self.services.revive():
            self.progress.line(line)

    def _check_database(self) -> None:
        if not self.server.running():
            self.database_restarts += 1
            if self.database_restarts > RESTARTS:
                raise WarehouseError(f"The database ended {self.database_restarts} times; its log is {self.server.folder / 'server.log'}.")
            self.server.start()
            self.progress.line(f"The database ended by itself and was started again ({self.database_restarts} of {RESTARTS})")

    # -- the demonstration -------------------------------------------------------------------------

    def publish_demonstration(self) -> None:
        """The backfill as one publication, then the last week as a county's ordinary week. Skips what is done."""
        weeks = self.state.get("weeks", self.weeks)
        demo = self.settings.home / "demo"
        if not self.state.get("weekly_published") and not self.state.get("approval_set") and self.api.variable(APPROVE) is None:
            # nobody is asked about the demonstration; whoever has chosen already keeps the choice
            self.api.set_variable(APPROVE, "never", "When a person has to approve a publication: never, on_warnings, always")
            self._note(approval_set=True)
        for name, folder in (("backfill", demo / "backfill"), ("weekly", demo / f"week{weeks:02d}")):
            if self.state.get(f"{name}_published"):
                continue
            before = self._publications()
            if not self.state.get(f"{name}_dropped"):
                self._drop(folder)
                self._note(**{f"{name}_dropped": True, f"{name}_after": before})
                self._trigger(INTAKE)
            self._watch(name, self.state.get(f"{name}_after", before))
            self._note(**{f"{name}_published": True})
        if self.state.get("approval_set"):
            if self.api.variable(APPROVE) == "never":
                self.api.set_variable(APPROVE, "on_warnings")
            self._note(approval_set=False)

    def _drop(self, folder: Path) -> None:
        """Put a folder into the inbox in one step: nobody may see half of it."""
        target = self.settings.inbox / folder.name
        draft = self.settings.inbox / f".{folder.name}"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(folder, draft)
        draft.rename(target)

    def _trigger(self, dag: str) -> None:
        with contextlib.suppress(OSError):  # the schedule would find the files within the minute all the same
            self.api.trigger(dag)

    def _watch(self, name: str, before: int) -> None:
        """Show what goes on until a publication beyond number ``before`` stands. Raises RunFailed."""
        began, quiet_since, nudges, loaded_at = time.monotonic(), None, 0, None
        last_failed = {dag: self._failed(dag) for dag in (INTAKE, BUILD)}
        while True:
            self._check_services()
            try:
                published, (waiting, done) = self._publications(), self._files()
            except (WarehouseError, psycopg.OperationalError):  # the database is away: the next look starts it again
                self.progress("The database does not answer")
                time.sleep(1.0)
                continue
            if published > before and not self._active(BUILD):
                break
            if loaded_at is None and not waiting and done and not self._active(INTAKE):
                loaded_at = time.monotonic()
                self._time(f"{name}: receive and load", loaded_at - began)
                self.progress.line(f"{done:,} files received, checked and loaded")
            doing = self._doing()
            self.progress(f"{done:,}/{done + waiting:,} files · {doing}" if doing else f"{done:,}/{done + waiting:,} files")
            failed = self._failed(BUILD)
            if failed and failed != last_failed[BUILD]:
                raise RunFailed(self._reason(BUILD, failed))
            if doing:
                quiet_since = None
            elif quiet_since is None:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > QUIET_BEFORE_NUDGE:
                if nudges == 3:
                    failed = self._failed(INTAKE)
                    raise RunFailed(self._reason(INTAKE, failed) if failed else f"Nothing was published, and nothing goes on: {self.services.address}")
                self._trigger(INTAKE if waiting or any(p.is_file() for p in self.settings.inbox.rglob("*")) else BUILD)
                nudges, quiet_since = nudges + 1, None
            time.sleep(1.0)
        self._time(f"{name}: build, judge, publish, report", time.monotonic() - (loaded_at or began))
        with self._connection() as connection:
            latest = cycle.latest_publication(connection)
        self.progress.line(f"Publication {latest['publication']}, week {latest['week']}: {latest['rows_opened']:,} rows")

    def _active(self, dag: str) -> bool:
        try:
            return any(run["state"] in ("running", "queued") for run in self.api.runs(dag))
        except OSError:
            return True  # no answer is no proof that nothing goes on

    def _failed(self, dag: str) -> str | None:
        """Id of the newest run if it failed."""
        with contextlib.suppress(OSError):
            runs = self.api.runs(dag, 1)
            return runs[0]["dag_run_id"] if runs and runs[0]["state"] == "failed" else None
        return None

    def _doing(self) -> str:
        """Task states of the runs that go on; '' if none does."""
        running, queued = [], []
        with contextlib.suppress(OSError):
            for dag in (INTAKE, BUILD):
                for active in self.api.runs(dag):
                    if active["state"] == "running":
                        running.append(describe_tasks(self.api.tasks(dag, active["dag_run_id"])) or f"{dag} running")
                    elif active["state"] == "queued":
                        queued.append(f"{dag} queued")
        return " · ".join(running or queued)

    def _reason(self, dag: str, run_id: str) -> str:
        """Why a run failed, as far as we can tell: the gate's words, or which task to look at."""
        tasks = [t["task_id"] for t in self.api.tasks(dag, run_id) if t["state"] == "failed"]
        if "gate" in tasks:
            with self._connection() as connection:
                verdict, why = connection.execute(
                    "select verdict, blocking_zh from quality.check_run where verdict is not null order by check_run_id desc limit 1"
                ).fetchone()
            self.blocked = verdict == "blocked"
            return f"The gate stops the publication ({verdict}): {why or 'it waits for a person'}"
        return f"The task {tasks[0] if tasks else '?'} of {dag} failed; its log: {self.services.address}/dags/{dag}/runs/{run_id}"

    # -- what there is to see ----------------------------------------------------------------------

    def tell(self) -> None:
        """Print what was published, where everything is, and what it took; write home/logs/run_times.json."""
        from warehouse.commands import status

        self._time("total", time.monotonic() - self.began)
        (self.settings.logs / "run_times.json").write_text(json.dumps(self.seconds, indent=2), encoding="utf-8")
        with self._connection() as connection:
            publications = connection.execute(
                "select publication_id, week, rows_opened, rows_closed from store.publication order by publication_id"
            ).fetchall()
            facts = [
                name for (name,) in connection.execute("select viewname from pg_views where schemaname = 'marts' and viewname like 'fct\\_%' order by 1")
            ]
            counted = [(name, connection.execute(f"select count(*) from marts.{name}").fetchone()[0]) for name in facts]
            state = status.status(connection)
        home, lines = self.settings.home, [""]
        lines += [f"Publication {n}: week {week}, {opened:,} rows opened, {closed:,} closed" for n, week, opened, closed in publications]
        lines += ["", "Rows in the published facts", *(f"  {name:<34}{rows:>10,}" for name, rows in counted)]
        lines += ["", f"Forms of {state['week']} by county and state", *("  " + line for line in status.table(state["counties"]))]
        lines += ["", "Seconds", *(f"  {name:<44}{seconds:>8.1f}" for name, seconds in self.seconds.items())]
        lines += [
            "",
            f"Airflow           {self.services.address}   user {USER}, password {self.services.password}",
            f"Quality pages     {home / 'reports' / 'quality' / 'index.html'}",
            f"Database          psql '{database.url(self.settings)}'   (or: warehouse psql)",
            f"A file of yours   check it:  warehouse check FILE      load it:  cp FILE {self.settings.inbox}/   (taken within a minute)",
            f"Approval          a week with warnings waits for you at {self.services.address}/required_actions",
            f"                  to be asked never or always: Admin → Variables → {APPROVE}, now {self._approval()}",
            f"Back to counties  {self.settings.outbox}",
        ]
        self.progress.clear()
        print("\n".join(lines), flush=True)

    def stay(self) -> None:
        self.progress.line("Everything is up. Ctrl-C stops it.")
        while True:
            self._check_services()
            time.sleep(2.0)

    # -- inside ------------------------------------------------------------------------------------

    def _approval(self) -> str:
        with contextlib.suppress(OSError):
            return self.api.variable(APPROVE) or "on_warnings"
        return "not to be had"

    @property
    def state(self) -> dict:
        path = self.settings.home / "run_state.json"
        if not path.exists():
            return {}
        state = json.loads(path.read_text(encoding="utf-8"))
        if state.get("version") != STATE_VERSION:
            raise WarehouseError(
                f"{path} was written by another version of the project (state {state.get('version')}, this one knows {STATE_VERSION}). "
                "Use that version, or set WAREHOUSE_HOME to a new folder."
            )
        return state

    def _note(self, **facts) -> None:
        path = self.settings.home / "run_state.json"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps({"version": STATE_VERSION} | self.state | facts, indent=2), encoding="utf-8")
        draft.replace(path)

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._time(name, time.monotonic() - began)

    def _time(self, name: str, seconds: float) -> None:
        self.seconds[name] = round(seconds, 1)

    def _connection(self) -> psycopg.Connection:
        return database.connect(self.settings, autocommit=True)

    def _publications(self) -> int:
        with self._connection() as connection:
            return connection.execute("select coalesce(max(publication_id), 0) from store.publication").fetchone()[0]

    def _files(self) -> tuple[int, int]:
        """Files that wait, files that are done."""
        with self._connection() as connection:
            return connection.execute(
                "select count(*) filter (where outcome is null), count(*) filter (where outcome is not null) from intake.file"
            ).fetchone()
