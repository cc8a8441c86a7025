"""OpenLineage events of the steps: what each read and wrote, down to columns, to a file or an endpoint.

``WAREHOUSE_LINEAGE`` is a file (a line an event) or the http(s) address of a collector such as Marquez; the client's
own OPENLINEAGE_* settings work as well. Without either nothing is imported or sent. Events hold names of tables,
columns, forms and rules, and counts: no value of any row, and of a fault only its kind.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import logging
import os
import uuid
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from ingestion.contracts import contracts
from warehouse.dbt_sources import forms_of_marts
from warehouse.settings import Settings
from warehouse.trace.origins import Origin, origins

NAMESPACE = "county_warehouse"
PRODUCER = "urn:county-warehouse"
STANDARD = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT__TYPE")
log = logging.getLogger(__name__)
_parent: ContextVar[tuple[str, str] | None] = ContextVar("lineage_parent", default=None)  # run id, job name


def enabled() -> bool:
    return bool(os.environ.get("WAREHOUSE_LINEAGE") or any(os.environ.get(name) for name in STANDARD))


@functools.lru_cache(maxsize=4)
def _client(to: str | None):
    from openlineage.client import OpenLineageClient

    if not to:
        return OpenLineageClient()
    if to.startswith(("http://", "https://")):
        from openlineage.client.transport.http import HttpConfig, HttpTransport

        return OpenLineageClient(transport=HttpTransport(HttpConfig(url=to, retry={"total": 1, "backoff_factor": 0.1})))
    from openlineage.client.transport.file import FileConfig, FileTransport

    Path(to).absolute().parent.mkdir(parents=True, exist_ok=True)
    return OpenLineageClient(transport=FileTransport(FileConfig(log_file_path=str(Path(to).absolute()), append=True)))


@dataclass
class Table:
    """A dataset: a table ('raw.emp01') of the warehouse, or a folder. ``columns``: name → (type, what it is)."""

    name: str
    rows: int | None = None
    columns: dict[str, tuple[str, str]] = field(default_factory=dict)
    sources: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)  # column → (table, column, IDENTITY | TRANSFORMATION)
    rules: list[tuple[str, bool, str]] = field(default_factory=list)  # rule, kept by every row, severity
    version: str | None = None


@contextlib.contextmanager
def run(settings: Settings, job: str, connection: psycopg.Connection | None = None, run_id: str | None = None) -> Iterator[None]:
    """START, then COMPLETE or FAIL of a job; jobs begun inside of it are its children. Never raises of its own."""
    if not enabled():
        yield
        return
    number, began = run_id or _new_id(), _now()
    parent = _parent.get()
    _emit(settings, "START", job, number, parent)
    token = _parent.set((number, job))
    try:
        yield
    except BaseException as error:
        _emit(settings, "FAIL", job, number, parent, fault=error)
        raise
    else:
        inputs, outputs, children = _datasets(settings, job, connection, began)
        for child in children:
            _model_events(settings, child, (number, job))
        _emit(settings, "COMPLETE", job, number, parent, inputs, outputs)
    finally:
        _parent.reset(token)


def airflow_run_id(dag_run: str) -> str:
    """The same run id in every task of a run of a DAG."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{NAMESPACE}/{dag_run}"))


@contextlib.contextmanager
def under(run_id: str, job: str) -> Iterator[None]:
    """Make what begins inside a child of a run that is told of elsewhere (a DAG's)."""
    token = _parent.set((run_id, job))
    try:
        yield
    finally:
        _parent.reset(token)


# -- what a step read and wrote --------------------------------------------------------------------


def _datasets(settings: Settings, job: str, connection: psycopg.Connection | None, began: dt.datetime) -> tuple[list[Table], list[Table], list[dict]]:
    """(inputs, outputs, dbt models) of a step that has ended. A fault here costs the event its datasets, nothing else."""
    find = {"receive": _receive, "load": _load, "build": _build, "judge": _judge, "publish": _publish, "report": _report}.get(job)
    if find is None or connection is None:
        return [], [], []
    try:
        found = find(settings, connection, began)
        return found if len(found) == 3 else (*found, [])
    except Exception as error:
        log.warning("The datasets of %s could not be told: %s", job, type(error).__name__)
        return [], [], []


def _receive(settings: Settings, connection: psycopg.Connection, began: dt.datetime):
    (files,) = connection.execute("select count(*) from intake.file where recorded_at >= %s", [began]).fetchone()
    return [Table(str(settings.inbox))], [Table(str(settings.archive), files), Table("intake.file", files)]


def _load(settings: Settings, connection: psycopg.Connection, began: dt.datetime):
    rows = connection.execute("select form, sum(rows_loaded)::bigint from intake.submission where loaded_at >= %s group by 1 order by 1", [began]).fetchall()
    outputs = [Table(f"raw.{form.lower()}", count, _raw_columns(form)) for form, count in rows]
    (findings,) = connection.execute("select count(*) from quality.finding where found_at >= %s and stage <> 'judgement'", [began]).fetchone()
    others = [Table("intake.submission"), Table("quality.finding", findings), Table(str(settings.outbox))]
    return [Table(str(settings.archive)), Table("intake.file")], [*outputs, *others]


def _raw_columns(form: str) -> dict[str, tuple[str, str]]:
    return {f.name: (f.type, "personal data" if f.personal else f.zh) for f in contracts().form(form).fields}


def _build(settings: Settings, connection: psycopg.Connection, began: dt.datetime):
    marts = forms_of_marts()
    outputs = [_fact(mart, "candidate", "raw") for mart in marts]
    return [Table(f"raw.{form.lower()}") for form in marts.values()], outputs, _models(settings, began)


def _fact(mart: str, schema: str, source: str) -> Table:
    """A fact with the columns it is made of, in the form's raw table or in the candidate of the same name."""
    form, of = forms_of_marts()[mart], origins(mart)
    table = Table(f"{schema}.{mart}", columns={name: (o.sql_type, o.description) for name, o in of.items()})
    for name, origin in of.items():
        if source == "candidate":
            table.sources[name] = [(f"candidate.{mart}", name, "IDENTITY")]
            continue
        fields = sorted(set(_fields(origin, of)))
        kind = "IDENTITY" if origin.kind == "cell" else "TRANSFORMATION"
        if fields:
            table.sources[name] = [(f"raw.{form.lower()}", column, kind) for column in fields]
    return table


def _fields(origin: Origin, of: dict[str, Origin], seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The fields of the form that a column comes down to, through formulas of formulas."""
    if origin.field is not None and origin.kind == "cell":
        yield origin.field.name
    for name in origin.inputs:
        if name in of and name not in seen:
            yield from _fields(of[name], of, seen | {name})


def _models(settings: Settings, began: dt.datetime) -> list[dict]:
    """What the last dbt run made, from its own artifacts; [] if it is older than the step."""
    target = settings.home / "dbt" / "target"
    try:
        results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))
        manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    if dt.datetime.fromisoformat(results["metadata"]["generated_at"]) < began:
        return []
    nodes = manifest["nodes"] | manifest["sources"]
    found = []
    for result in results["results"]:
        node = nodes.get(result["unique_id"], {})
        if node.get("resource_type") in ("model", "seed", "snapshot"):
            above = [nodes[name] for name in node.get("depends_on", {}).get("nodes", ()) if name in nodes]
            found.append({"node": node, "above": above, "result": result})
    return found


def _judge(settings: Settings, connection: psycopg.Connection, began: dt.datetime):
    mart_of = {form: mart for mart, form in forms_of_marts().items()}
    tables = {form: Table(f"candidate.{mart}") for form, mart in mart_of.items()}
    rows = connection.execute(
        """select r.form, r.rule_id, bool_and(r.status = 'pass'), max(r.severity) from quality.check_result r
           where r.check_run_id = (select max(check_run_id) from quality.check_run) and r.status in ('pass', 'fail', 'pass_with_violations') group by 1, 2 order by 1, 2"""
    ).fetchall()
    for form, rule, kept, severity in rows:
        if form in tables:
            tables[form].rules.append((rule, kept, severity))
    return list(tables.values()), [Table("quality.check_run", 1), Table("quality.check_result"), Table("quality.finding"), Table("quality.reporting_status")]


def _publish(settings: Settings, connection: psycopg.Connection, began: dt.datetime):
    number = connection.execute("select max(publication_id) from store.publication").fetchone()[0]
    outputs = [_fact(mart, "marts", "candidate") for mart in forms_of_marts()]
    for table in outputs:
        table.version = None if number is None else str(number)
    return [Table(f"candidate.{mart}") for mart in forms_of_marts()], [*outputs, Table("store.publication")]


def _report(settings: Settings, connection: psycopg.Connection, began: dt.datetime):
    marts = [Table(f"marts.{mart}") for mart in forms_of_marts()]
    return [*marts, Table("quality.finding"), Table("quality.check_result")], [Table(str(settings.reports / "quality"))]


# -- events ----------------------------------------------------------------------------------------


def _emit(
    settings: Settings, state: str, job: str, run_id: str, parent: tuple[str, str] | None,
    inputs: Iterable[Table] = (), outputs: Iterable[Table] = (), fault: BaseException | None = None, kind: str = "STEP", at: str | None = None,
) -> None:  # fmt: skip
    try:
        from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
        from openlineage.client.facet_v2 import error_message_run, job_type_job, parent_run

        facets: dict[str, Any] = {}
        if parent:
            facets["parent"] = parent_run.ParentRunFacet(run=parent_run.Run(parent[0]), job=parent_run.Job(NAMESPACE, parent[1]))
        if fault is not None:
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(type(fault).__name__, "PYTHON")
        type_ = job_type_job.JobTypeJobFacet("BATCH", "DBT" if kind == "MODEL" else "COUNTY_WAREHOUSE", kind)
        event = RunEvent(
            eventType=RunState[state], eventTime=at or _now().isoformat(), run=Run(run_id, facets), job=Job(NAMESPACE, job, {"jobType": type_}),
            inputs=[_dataset(settings, t, True) for t in inputs], outputs=[_dataset(settings, t, False) for t in outputs], producer=PRODUCER,
        )  # fmt: skip
        _client(os.environ.get("WAREHOUSE_LINEAGE")).emit(event)
    except Exception as error:  # an event about a run must not cost the run
        log.warning("A lineage event of %s could not be sent: %s", job, type(error).__name__)


def _dataset(settings: Settings, table: Table, read: bool):
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import (
        column_lineage_dataset,
        data_quality_assertions_dataset,
        dataset_version_dataset,
        output_statistics_output_dataset,
        schema_dataset,
    )

    namespace, name = _place(settings, table.name)
    facets: dict[str, Any] = {}
    if table.columns:
        facets["schema"] = schema_dataset.SchemaDatasetFacet([schema_dataset.SchemaDatasetFacetFields(c, t or None, d or None) for c, (t, d) in table.columns.items()])
    if table.version:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(table.version)
    if table.sources:
        def of(t: str, c: str, kind: str) -> Any:
            return column_lineage_dataset.InputField(*_place(settings, t), c, [column_lineage_dataset.Transformation("DIRECT", kind)])

        facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(
            {column: column_lineage_dataset.Fields([of(*source) for source in sources]) for column, sources in table.sources.items()}
        )
    if read:
        checks = [data_quality_assertions_dataset.Assertion(assertion=rule, success=kept, severity="error" if s == "error" else "warn") for rule, kept, s in table.rules]
        more = {"dataQualityAssertions": data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(checks)} if checks else {}
        return InputDataset(namespace, name, more, facets=facets)
    more = {"outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=table.rows)} if table.rows is not None else {}
    return OutputDataset(namespace, name, more, facets=facets)


def _place(settings: Settings, name: str) -> tuple[str, str]:
    """(namespace, name) of a table or folder, as OpenLineage names them; the port of an embedded server changes and is left out."""
    if name.startswith("/"):
        return "file", name
    info = psycopg.conninfo.conninfo_to_dict(settings.url) if settings.url else {"host": "localhost", "dbname": "warehouse"}
    port = f":{info.get('port', 5432)}" if settings.url else ""
    return f"postgres://{info.get('host', 'localhost')}{port}", f"{info.get('dbname', 'warehouse')}.{name}"


def _model_events(settings: Settings, model: dict, parent: tuple[str, str]) -> None:
    node, result = model["node"], model["result"]

    def table(n: dict) -> Table:
        return Table(f"{n['schema']}.{n.get('alias') or n.get('identifier') or n['name']}", columns={c: (v.get("data_type") or "", "") for c, v in n.get("columns", {}).items()})

    output, number, job = table(node), _new_id(), f"dbt.{node['name']}"
    output.sources = _model_columns(node, model["above"], table)
    timing = {t["name"]: t for t in result.get("timing", ())}.get("execute", {})
    good = result["status"] in ("success", "pass")
    _emit(settings, "START", job, number, parent, kind="MODEL", at=timing.get("started_at"))
    _emit(settings, "COMPLETE" if good else "FAIL", job, number, parent, [table(n) for n in model["above"]], [output], kind="MODEL", at=timing.get("completed_at"))


def _model_columns(node: dict, above: list[dict], table) -> dict[str, list[tuple[str, str, str]]]:
    """Columns that a staging model takes over from its one source, or a fact from the staging model of its form, under the same name."""
    if node["resource_type"] != "model":
        return {}
    form = forms_of_marts().get(node["name"])
    of = origins(node["name"]) if form else {}
    sources = [n for n in above if n["resource_type"] == "source" and n["schema"] == "raw"] if node["name"].startswith("stg_") else [n for n in above if n["name"].startswith("stg_")]
    if len(sources) != 1:
        return {}
    (source,) = sources
    have, found = set(source.get("columns", {})), {}
    for column in node.get("columns", {}):
        fields = sorted(set(_fields(of[column], of))) if column in of else [column]
        known = [f for f in fields if f in have]
        if known:
            found[column] = [(table(source).name, f, "IDENTITY" if known == [column] else "TRANSFORMATION") for f in known]
    return found


def _new_id() -> str:
    from openlineage.client.uuid import generate_new_uuid

    return str(generate_new_uuid())


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
