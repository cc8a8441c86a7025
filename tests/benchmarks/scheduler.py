"""Airflow's own work over a nation's week: how many task instances, how long they wait, what the scheduler needs for them."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from dataclasses import replace
from pathlib import Path

import psycopg

from demo.generate import write_week
from demo.reference import write_reference
from tests.benchmarks.figure import Figure, Workshop, family, within
from warehouse.run import APPROVE, BUILD, INTAKE, RunFailed, Supervisor
from warehouse.settings import Settings

SLOTS = 3  # loading tasks at a time: more than the two of a city, on a machine of two processors
FORMS = ("EMP01", "COP03")
IDLE_SECONDS = 60
TASKS = """
select dag_id, task_id, state, queued_dttm, start_date, end_date from task_instance
where dag_id = any(%s) and coalesce(start_date, scheduled_dttm, updated_at) >= %s
  and run_id in (select run_id from task_instance where task_id = 'load_files' and state = 'success' union select run_id from dag_run where dag_id = %s)
"""


def week(shop: Workshop, samples: int, counties: int = 832) -> list[Figure]:
    """Every county's small workbook of one week, from the drop until the report stands; services as `make run` starts them."""
    folder = shop.folder / "scheduler"
    given = {"WAREHOUSE_REFERENCE": str(write_reference(folder / "reference", counties, townships=3, villages=5)), "WAREHOUSE_INTAKE_SLOTS": str(SLOTS)}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    home = replace(Settings.from_environment(), home=folder / "home", url=None)
    home.prepare()
    supervisor = Supervisor(home, 2)
    supervisor._note(generated=True, weeks=2)  # the demonstration is not wanted
    try:
        demo = write_week(folder / "w24", 24, forms=FORMS)
        with supervisor.only_one():
            try:
                supervisor.bring_up()
                supervisor.api.set_variable(APPROVE, "never", "benchmark")
                time.sleep(IDLE_SECONDS)  # services settle
                idle = _spent(supervisor)
                time.sleep(IDLE_SECONDS)
                idle = _less(_spent(supervisor), idle)
                return _measured(supervisor, demo, idle, counties)
            finally:
                supervisor.shut_down()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _measured(supervisor: Supervisor, demo, idle: dict[str, float], counties: int) -> list[Figure]:
    spent, began, moment = _spent(supervisor), time.monotonic(), _now(supervisor)
    supervisor._drop(demo.folder)
    supervisor._trigger(INTAKE)
    _until_published(supervisor)
    wall, spent = time.monotonic() - began, _less(_spent(supervisor), spent)
    with psycopg.connect(supervisor.services.database_url()) as airflow:
        rows = airflow.execute(TASKS, [[INTAKE, BUILD], moment, BUILD]).fetchall()
    ran = [row for row in rows if row[3] is not None and row[4] is not None and row[5] is not None]  # what was skipped took no process
    waited = sorted((start - queued).total_seconds() for _, _, _, queued, start, _ in ran)
    by_task: dict[str, float] = {}
    for _, task, _, _, start, end in ran:
        by_task[task] = round(by_task.get(task, 0.0) + (end - start).total_seconds(), 1)
    about = {
        "counties": counties, "files": len(demo.files), "slots": SLOTS, "wall_s": round(wall, 1), "instances": len(rows), "ran": len(ran),
        "seconds_by_task": by_task, "processor_seconds": {name: round(s, 1) for name, s in spent.items()},
        "idle_processor_seconds_a_minute": {name: round(s * 60 / IDLE_SECONDS, 1) for name, s in idle.items()},
    }  # fmt: skip
    return [
        within("nation_airflow_instances", 30, [len(rows)], "tasks", of="task instances of both DAGs, skipped ones included", **about),
        within("nation_airflow_wait", 1.0, [statistics.median(waited)], "s", of="median from queued to started",
               p95=round(waited[int(0.95 * (len(waited) - 1))], 3), longest=round(waited[-1], 3), **about),
        within("nation_airflow_scheduler", round(wall, 1), [spent["scheduler"]], "s", of="processor time of the scheduler itself over the wall clock's", **about),
    ]  # fmt: skip


def _now(supervisor: Supervisor):
    with psycopg.connect(supervisor.services.database_url()) as airflow:
        return airflow.execute("select clock_timestamp()").fetchone()[0]


def _until_published(supervisor: Supervisor, patience: float = 7200) -> None:
    until = time.monotonic() + patience
    while time.monotonic() < until:
        supervisor._check_services()
        if supervisor._publications() and not supervisor._active(BUILD):
            return
        if failed := supervisor._failed(BUILD) or supervisor._failed(INTAKE):
            raise RunFailed(f"The run {failed} failed")
        time.sleep(2.0)
    raise RunFailed(f"Nothing was published within {patience:.0f} seconds")


def _spent(supervisor: Supervisor) -> dict[str, float]:
    """Processor seconds so far of each service; of the scheduler's children, which are the tasks, apart."""
    found = {}
    for name, child in supervisor.services.children.items():
        own = _seconds(child.pid, children=False)
        everything = sum(_seconds(pid) for pid in family([child.pid]))
        if name == "scheduler":
            found |= {"scheduler": own, "tasks": everything - own}
        else:
            found[name] = everything
    return found


def _seconds(pid: int, children: bool = True) -> float:
    """User and system time of a process, and of children that ended and were waited for."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11 : 15 if children else 13])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _less(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0.0) for name, value in after.items()}
