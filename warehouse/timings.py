"""How the time of a run under Airflow splits into the steps' own work and what surrounds it.

Airflow's task instances say when a task began and ended, ``ops.task_step`` when it entered and left its step. Tasks
run one after the other, so that what no task covers is scheduling.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from warehouse.settings import Settings, WarehouseError

INTAKE, BUILD = "receive_and_load", "build_and_publish"
KINDS = ("work", "dbt", "great_expectations", "start", "finish", "scheduling")


def note_step(connection: psycopg.Connection, task: Any, entered: dt.datetime, phases: list[tuple[str, dt.datetime]]) -> None:
    """Put on record how long a task's step took. ``phases``: what it said it was doing, and since when. Never raises."""
    left = dt.datetime.now(dt.UTC)
    ends = [moment for _, moment in phases[1:]] + [left]
    seconds = [[what, round((end - begun).total_seconds(), 3)] for (what, begun), end in zip(phases, ends, strict=False)]
    if task is None:
        return
    try:
        connection.execute(
            """insert into ops.task_step (dag_id, run_id, task_id, map_index, try_number, entered_at, left_at, phases)
               values (%s, %s, %s, %s, %s, %s, %s, %s)
               on conflict (dag_id, run_id, task_id, map_index, try_number)
               do update set entered_at = excluded.entered_at, left_at = excluded.left_at, phases = excluded.phases""",
            [task.dag_id, task.run_id, task.task_id, task.map_index, task.try_number, entered, left, Jsonb(seconds)],
        )
    except psycopg.Error:  # figures about a run must not cost the run
        logging.getLogger(__name__).warning("The times of this step could not be noted", exc_info=True)


@dataclass
class Row:
    """Seconds of one step over all its tasks; ``work`` is without dbt's and Great Expectations' shares."""

    step: str
    tasks: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(KINDS, 0.0))

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


def split(tasks: list[dict[str, Any]]) -> list[Row]:
    """Rows by step, in order. A task: task_id, start, end, entered, left (times or None), phases.

    The rows' totals add up to the time from the first start to the last end.
    """
    rows: dict[str, Row] = {}
    covered = None
    for task in sorted(tasks, key=lambda t: (t["start"], t["end"])):
        row = rows.setdefault(task["task_id"], Row(task["task_id"]))
        row.tasks += 1
        start = task["start"] if covered is None else max(task["start"], covered)
        row.seconds["scheduling"] += max(0.0, (task["start"] - (covered or task["start"])).total_seconds())
        end = max(start, task["end"])
        covered = end
        entered, left = task["entered"] or start, task["left"] or end
        entered, left = min(max(entered, start), end), max(min(left, end), start)
        row.seconds["start"] += (entered - start).total_seconds()
        row.seconds["finish"] += (end - left).total_seconds()
        inside = (left - entered).total_seconds()
        shares = _shares(task["task_id"], task["phases"] or [])
        for kind, seconds in shares.items():
            seconds = min(seconds, inside)
            row.seconds[kind] += seconds
            inside -= seconds
        row.seconds["work"] += inside
    return list(rows.values())


def _shares(step: str, phases: list[list]) -> dict[str, float]:
    """dbt is what the build does from when it has its slices; Great Expectations what the judgement does after the rules."""
    if step == "build":
        return {"dbt": sum(seconds for what, seconds in phases if what in ("building slices", "dbt models"))}
    if step == "judge":
        first = next((n for n, (what, _) in enumerate(phases) if what == "validating marts"), len(phases))
        return {"great_expectations": sum(seconds for _, seconds in phases[first:])}
    return {}


def timings(settings: Settings, run: str | None = None) -> dict[str, Any]:
    """The split for one run of build_and_publish (default: the last that published) and the intake that led to it.

    Returns run, intake_runs, week, wall (seconds), rows. Raises WarehouseError where there is no such run.
    """
    from warehouse import database
    from warehouse.airflow_services import AirflowServices

    address = AirflowServices(settings).database_url()
    with database.connect(settings, autocommit=True) as connection:
        try:
            airflow = psycopg.connect(address, autocommit=True)
        except psycopg.OperationalError as error:
            raise WarehouseError("Airflow has no database here: run `warehouse run` first.") from error
        with airflow:
            try:
                build = _build_run(airflow, run)
            except psycopg.errors.UndefinedTable as error:
                raise WarehouseError("Airflow has not run here yet: run `warehouse run` first.") from error
            intake = _intake_runs(airflow, build)
            tasks = _tasks(airflow, connection, [(BUILD, build["run_id"]), *((INTAKE, run_id) for run_id in intake)])
        week = connection.execute(
            "select week from store.publication where published_at <= %s order by publication_id desc limit 1", [build["end"] or dt.datetime.now(dt.UTC)]
        ).fetchone()
    if not tasks:
        raise WarehouseError(f"The run {build['run_id']} has no finished task.")
    rows = split(tasks)
    return {
        "run": build["run_id"],
        "intake_runs": intake,
        "week": week[0] if week else None,
        "wall": (max(t["end"] for t in tasks) - min(t["start"] for t in tasks)).total_seconds(),
        "rows": [{"step": r.step, "tasks": r.tasks, **{k: round(v, 3) for k, v in r.seconds.items()}, "total": round(r.total, 3)} for r in rows],
    }


def _build_run(airflow: psycopg.Connection, run: str | None) -> dict[str, Any]:
    row = airflow.execute(
        """select r.run_id, r.start_date, r.end_date, r.queued_at from dag_run r
           where r.dag_id = %(dag)s and (r.run_id = %(run)s or %(run)s::text is null and exists (
               select from task_instance t where t.dag_id = r.dag_id and t.run_id = r.run_id and t.task_id = 'publish' and t.state = 'success'))
           order by r.start_date desc limit 1""",
        {"dag": BUILD, "run": run},
    ).fetchone()
    if row is None:
        raise WarehouseError(f"There is no run {run} of {BUILD}." if run else f"No run of {BUILD} has published anything yet.")
    before = airflow.execute("select max(start_date) from dag_run where dag_id = %s and start_date < %s", [BUILD, row[1]]).fetchone()[0]
    return dict(zip(("run_id", "start", "end", "queued"), row, strict=True)) | {"before": before}


def _intake_runs(airflow: psycopg.Connection, build: dict[str, Any]) -> list[str]:
    """Runs whose announcement came between the build before and this one and that loaded something."""
    rows = airflow.execute(
        """select a.run_id from task_instance a
           where a.dag_id = %s and a.task_id = 'announce' and a.state = 'success' and a.end_date > coalesce(%s, '-infinity') and a.start_date < %s
             and exists (select from task_instance l where l.dag_id = a.dag_id and l.run_id = a.run_id and l.task_id = 'load_files' and l.state = 'success')
           order by a.end_date""",
        [INTAKE, build["before"], build["start"]],
    )
    return [run_id for (run_id,) in rows]


def _tasks(airflow: psycopg.Connection, connection: psycopg.Connection, runs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    steps = {
        tuple(key): (entered, left, phases)
        for *key, entered, left, phases in connection.execute(
            """select distinct on (dag_id, run_id, task_id, map_index) dag_id, run_id, task_id, map_index, entered_at, left_at, phases from ops.task_step
               where run_id = any(%s) order by dag_id, run_id, task_id, map_index, try_number desc""",
            [[run_id for _, run_id in runs]],
        )
    }
    found = []
    for dag, run_id in runs:
        for task_id, index, start, end in airflow.execute(
            """select task_id, map_index, start_date, end_date from task_instance
               where dag_id = %s and run_id = %s and state in ('success', 'skipped', 'failed') and end_date > start_date""",
            [dag, run_id],
        ):
            entered, left, phases = steps.get((dag, run_id, task_id, index), (None, None, None))
            found.append({"task_id": task_id, "start": start, "end": end, "entered": entered, "left": left, "phases": phases})
    return found


def describe(found: dict[str, Any]) -> str:
    """The table for a person: seconds by step and kind, then what share is overhead."""
    heads = ("step", "tasks", "work", "dbt", "Great Exp.", "start", "finish", "scheduling", "total")
    lines = [f"{BUILD} {found['run']}, week {found['week']}; seconds", "", f"{heads[0]:<12}" + "".join(f"{h:>11}" for h in heads[1:])]
    sums = dict.fromkeys((*KINDS, "total"), 0.0)
    order = ("work", "dbt", "great_expectations", "start", "finish", "scheduling", "total")
    for row in found["rows"]:
        lines.append(f"{row['step']:<12}{row['tasks']:>11}" + "".join(f"{row[k]:>11.2f}" for k in order))
        for kind in sums:
            sums[kind] += row[kind]
    tasks = sum(row["tasks"] for row in found["rows"])
    lines.append(f"{'together':<12}{tasks:>11}" + "".join(f"{sums[k]:>11.2f}" for k in order))
    overhead = sums["start"] + sums["finish"] + sums["scheduling"]
    lines += [
        "",
        f"From the first task's start to the last one's end {found['wall']:.1f} s, of which {overhead:.1f} s ({overhead / max(found['wall'], 0.001):.0%}) "
        f"around the steps: {overhead / tasks:.2f} s a task.",
        "start: process, DAG file, imports · finish: result and state to Airflow · scheduling: no task was running",
    ]
    return "\n".join(lines)
