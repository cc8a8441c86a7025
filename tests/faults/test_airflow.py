"""Under Airflow: a task, a worker and the scheduler are killed while a backfill and a week go through; the result is that of the command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from fault_bench import Site, differences, faults_of, state

from demo.generate import write_demo
from tests.end_to_end.personal_scan import Persons, in_files, in_tables
from warehouse.airflow_services import AirflowServices
from warehouse.embedded import EmbeddedServer
from warehouse.run import SEED
from warehouse.settings import Settings

LONG = bool(os.environ.get("WAREHOUSE_LONG"))
WAREHOUSE = str(Path(sys.executable).with_name("warehouse"))
WEEKS = 3
PATIENCE_SECONDS = 2400.0
# the report of the ledger differs in nothing; who looks at it from which drop does not matter
COMPARED = ("marts.", "raw ", "files", "submissions", "rejected rows", "results", "reporting status", "pending", "ledger", "published submissions", "archive")

pytestmark = [
    pytest.mark.database, pytest.mark.slow, pytest.mark.long, pytest.mark.skipif(not LONG, reason="only with WAREHOUSE_LONG=1"),
]  # fmt: skip


def environment(home: Path) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "WAREHOUSE_URL"} | {"WAREHOUSE_HOME": str(home)}


def children(pid: int) -> list[int]:
    found = []
    for folder in Path(f"/proc/{pid}/task").glob("*"):
        try:
            found += [int(n) for n in (folder / "children").read_text().split()]
        except OSError:
            continue
    return found


class Airflow:
    """A running `warehouse run` and what can be struck of it."""

    def __init__(self, home: Path, log: Path):
        self.home, self.log = home, log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [WAREHOUSE, "run", "--exit-when-published", "--weeks", str(WEEKS)], env=environment(home), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    def until(self, condition: Callable[[], object], what: str):
        """The first true value of the condition. Raises AssertionError if the run ends before."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert self.process.poll() is None and time.monotonic() < until, f"no {what}:\n{self.log.read_text()[-3000:]}"
            try:
                found = condition()
            except (OSError, psycopg.Error, ValueError):
                found = None
            if found:
                return found
            time.sleep(0.05)

    def count(self, query: str) -> int:
        settings = replace(Settings.from_environment(), home=self.home, url=None)
        with psycopg.connect(EmbeddedServer(settings).url(), connect_timeout=5) as connection:
            return connection.execute(query).fetchone()[0]

    @property
    def scheduler(self) -> int:
        return json.loads((self.home / "airflow" / "services.json").read_text())["scheduler"]

    def at_work(self) -> tuple[int, int] | None:
        """(worker, task): a child of the scheduler that has a child."""
        for worker in children(self.scheduler):
            for task in children(worker):
                return worker, task
        return None


def personal_data_of(settings: Settings, folder: Path) -> list[str]:
    """Who of the demonstration is found in Airflow's database, its home, or a log.

    The warehouse's own tables and pages are looked through in tests/end_to_end/test_cycle.py, where nobody among the few
    persons has the name of an official or of a word.
    """
    persons = Persons(write_demo(folder / "again", WEEKS, SEED, counties=12, processes=1))
    with psycopg.connect(AirflowServices(settings).database_url()) as connection:
        return in_files([settings.home / "airflow", settings.logs], persons) + in_tables(connection, persons, ("public",))


def test_killed_tasks_workers_and_scheduler_change_nothing(tmp_path):
    tmp_path.chmod(0o755)
    home = tmp_path / "airflow-home"
    run = Airflow(home, tmp_path / "run.log")
    try:
        run.until(lambda: run.count("select count(*) from intake.file where outcome is not null"), "loaded file")
        _, task = run.until(run.at_work, "task at work")
        os.kill(task, signal.SIGKILL)
        run.until(lambda: run.count("select count(*) from ops.build_run where finished_at is null") or run.count("select count(*) from store.publication"), "build")
        os.kill(run.scheduler, signal.SIGKILL)
        run.until(lambda: run.count("select count(*) from store.publication") >= 1, "publication of the backfill")
        worker, _ = run.until(run.at_work, "task of the week at work")
        os.kill(worker, signal.SIGKILL)
        assert run.process.wait(PATIENCE_SECONDS) == 0, run.log.read_text()[-3000:]
    finally:
        if run.process.poll() is None:
            run.process.terminate()
            run.process.wait(120)
    told = run.log.read_text()
    assert "scheduler ended by SIGKILL and was started again" in told, told[-3000:]

    plain = tmp_path / "plain-home"
    settings, reference = (replace(Settings.from_environment(), home=each, url=None) for each in (home, plain))
    reference.prepare()
    # a household has the same pseudonym in both
    (plain / "secrets").mkdir(mode=0o700, exist_ok=True)
    shutil.copy2(home / "secrets" / "pseudonym_key", plain / "secrets")
    for folder in ("backfill", f"week{WEEKS:02d}"):
        shutil.copytree(home / "demo" / folder, reference.inbox / folder)
        done = subprocess.run([WAREHOUSE, "cycle"], env=environment(plain), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    EmbeddedServer(settings).start()
    try:
        sites = [Site(each, None) for each in (settings, reference)]
        have, want = ({name: rows for name, rows in state(site).items() if name.startswith(COMPARED)} for site in sites)
        assert len(want["marts.fct_employment_weekly"]) > 100 and len(want["ledger"]) == 2
        assert differences(have, want) == []
        assert faults_of(sites[0]) == []
        assert personal_data_of(settings, tmp_path) == []
    finally:
        for each in (settings, reference):
            EmbeddedServer(each).stop()
