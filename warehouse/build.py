"""Candidate marts from what is accepted: one dbt invocation in this process for the slices that changed.

Which slices follow from a changed one is decided here, in SQL; how rows are made of them is dbt's affair.
A build that is cut off leaves its slices pending, and the next one makes them again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from ingestion import reference_files
from ingestion.contracts import contracts
from warehouse import database
from warehouse.dbt_sources import PROJECT, forms_of_marts, project
from warehouse.locks import BUILD as BUILD_LOCK
from warehouse.roles import TRANSFORMER, acting
from warehouse.settings import Settings, WarehouseError

ENCRYPTION = ("sslmode", "sslrootcert", "sslcert", "sslkey")  # what WAREHOUSE_URL says of TLS
FEW_FORMS = 6  # up to so many affected forms, only their facts are selected


@dataclass(frozen=True)
class BuildResult:
    """``build_run_id`` and ``dbt_invocation_id`` are None, and ``slices`` 0, when nothing was pending."""

    build_run_id: int | None
    publish_week: str | None
    slices: int
    dbt_invocation_id: str | None
    seconds: float
    succeeded: bool


def build(
    settings: Settings,
    *,
    now: dt.datetime | None = None,
    publish_week: str | None = None,
    full_refresh: bool = False,
    progress: Callable[..., None] | None = None,
) -> BuildResult:
    """Make the candidate rows of every pending slice up to ``publish_week`` ('2020-W24').

    The week defaults to the newest that is due at ``now`` (aware; default: the current time) and never goes back
    behind an earlier build's. Raises WarehouseError with the node and dbt's message; the slices then stay pending.
    """
    began = time.monotonic()
    with database.connect(settings, autocommit=True) as connection, _acting(settings, connection):
        if not connection.execute("select pg_try_advisory_lock(%s)", [BUILD_LOCK]).fetchone()[0]:
            raise WarehouseError("Another build or a publication is running on this database. Wait for it to end, then try again.")
        week = _publish_week(connection, settings, now, publish_week)
        if week is None:
            return BuildResult(None, None, 0, None, time.monotonic() - began, True)
        folder = project(settings)
        project_hash = _project_hash(folder)
        same_codes, full_refresh = _standing(connection, project_hash, full_refresh)
        with connection.transaction():
            _note_followers(connection, week, everything=full_refresh)
            run, slices, forms = _open_run(connection, week, project_hash, full_refresh)
        if run is None:
            return BuildResult(None, week, 0, None, time.monotonic() - began, True)
        if progress:
            progress("building slices", 0, slices)
        if settings.spark:
            from warehouse.spark import make_rows  # needs Java and packages of its own

            invocation = make_rows(settings, connection, forms, make_tables=functools.partial(_make_tables, folder=folder) if full_refresh else None, progress=progress)
        else:
            select = _selection(forms) if same_codes and not full_refresh else []
            invocation = _run_dbt(settings, folder, database_address(connection), select, full_refresh, progress)
        _close_run(connection, run, invocation)
        if progress:
            progress("building slices", slices, slices)
        return BuildResult(run, week, slices, invocation, time.monotonic() - began, True)


def _acting(settings: Settings, connection: psycopg.Connection) -> contextlib.AbstractContextManager[None]:
    """Builds are the transformer's; rows from Spark come in by the login's own connections, into tables of its own, and it puts them in place."""
    return contextlib.nullcontext() if settings.spark else acting(connection, TRANSFORMER)


def _publish_week(connection: psycopg.Connection, settings: Settings, now: dt.datetime | None, given: str | None) -> str | None:
    if given is None:
        from warehouse import calendar

        given = calendar.publish_week(connection, now or dt.datetime.now(settings.timezone))
    return max(filter(None, (given, _built_week(connection))), default=None)


def _built_week(connection: psycopg.Connection) -> str:
    """The week that the candidates reach to: that of the last build, which never goes back but by a withdrawal; '' before any."""
    return connection.execute(BUILT_WEEK).fetchone()[0]


def _project_hash(project: Path = PROJECT) -> str:
    """Two SHA-256 joined by a colon: of the dbt project and of the reference data."""
    models = sorted(p for p in project.rglob("*") if p.suffix in (".sql", ".yml", ".yaml", ".csv"))
    return ":".join(
        _digest(named)
        for named in ({str(p.relative_to(project)): p for p in models}, {p.name: p for p in reference_files.files().values()})
    )


def _digest(files: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in files.items():
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _standing(connection: psycopg.Connection, project_hash: str, full_refresh: bool) -> tuple[bool, bool]:
    """Whether the reference data are those of the last build, and whether everything has to be made again.

    It has to when the models are others than those that made what stands: slices of two minds would lie side by
    side. It also has to after a full refresh that was cut off, which may have left tables without their keys.
    """
    last = connection.execute("select succeeded, full_refresh from ops.build_run order by build_run_id desc limit 1").fetchone()
    good = connection.execute("select project_hash from ops.build_run where succeeded order by build_run_id desc limit 1").fetchone()
    models, _, codes = project_hash.partition(":")
    built_models, _, built_codes = ((good and good[0]) or "").partition(":")
    have = {name for (name,) in connection.execute("select tablename from pg_tables where schemaname = 'candidate'")}
    everything = full_refresh or bool(last and last[1] and not last[0]) or built_models != models or not set(forms_of_marts()) <= have
    return built_codes == codes, everything


# ---------------------------------------------------------------- slices

BUILT_WEEK = "select coalesce((select publish_week from ops.build_run where succeeded order by build_run_id desc limit 1), '')"

# The slices that follow from the pending ones; looked up from where they stand, so that history is not read
FOLLOWERS = """
with level_form as (select unnest(%(level)s::text[]) as form),
changed as (
    select p.form, p.county_code, p.week,
           (select f.week from intake.accepted_submission f
            where f.form = p.form and f.county_code = p.county_code and f.week > p.week and f.week <= %(week)s and f.rows_loaded > 0
            order by f.week limit 1) as next_own
    from ops.pending_slice p join level_form using (form)
    where not p.built and p.week <= %(week)s
),
weeks as (
    select to_char(d, 'IYYY-"W"IW') as week
    from (select min(week) as first from (select week from changed union all select nullif(%(built)s, '')) w) f,
         generate_series(to_date(f.first || '-1', 'IYYY-"W"IW-ID'), to_date(%(week)s || '-1', 'IYYY-"W"IW-ID'), interval '7 days') d
),
followers as (
    -- the weeks that carry the changed figures forward, and the next own one, whose increments rest on them
    select c.form, c.county_code, w.week
    from changed c join weeks w on w.week > c.week and (c.next_own is null or w.week <= c.next_own)
    union
    -- weeks that were not there when the last build ran
    select l.form, c.county_code, w.week
    from weeks w cross join level_form l cross join (select distinct county_code from reference.counties) c
    -- a scalar, because an EXISTS is made into a join that reads every submission there is
    where w.week > %(built)s and (
        select true from intake.accepted_submission f
        where f.form = l.form and f.county_code = c.county_code and f.week <= w.week and f.rows_loaded > 0 limit 1)
)
insert into ops.pending_slice (form, county_code, week)
select form, county_code, week from followers
on conflict (form, county_code, week) do update set built = false where pending_slice.built
"""

EVERYTHING = """
with level_form as (select unnest(%(level)s::text[]) as form),
figures as (
    select form, county_code, week from intake.accepted_submission where rows_loaded > 0 and week <= %(week)s
),
first_week as (select form, county_code, min(week) as week from figures join level_form using (form) group by form, county_code),
weeks as (
    select to_char(d, 'IYYY-"W"IW') as week
    from (select min(week) as first from first_week) f,
         generate_series(to_date(f.first || '-1', 'IYYY-"W"IW-ID'), to_date(%(week)s || '-1', 'IYYY-"W"IW-ID'), interval '7 days') d
),
followers as (
    select f.form, f.county_code, w.week from first_week f join weeks w on w.week >= f.week
    union
    select form, county_code, week from figures
)
insert into ops.pending_slice (form, county_code, week)
select form, county_code, week from followers
on conflict (form, county_code, week) do update set built = false where pending_slice.built
"""


def _note_followers(connection: psycopg.Connection, week: str, *, everything: bool) -> None:
    of = contracts()
    level = [code for code in of.codes if of.form(code).listing == "level"]
    connection.execute(EVERYTHING if everything else FOLLOWERS, {"week": week, "level": level, "built": _built_week(connection)})


def _open_run(connection: psycopg.Connection, week: str, project_hash: str, full_refresh: bool) -> tuple[int | None, int, list[str]]:
    connection.execute("delete from ops.build_slice")
    connection.execute(
        """insert into ops.build_slice (form, county_code, week, noted_at)
           select form, county_code, week, noted_at from ops.pending_slice
           where not built and week <= %s and form = any(%s)""",
        [week, sorted(forms_of_marts().values())],
    )
    by_form = dict(connection.execute("select form, count(*) from ops.build_slice group by form").fetchall())
    if not by_form and _built_week(connection) >= week:
        return None, 0, []
    run = connection.execute(
        """insert into ops.build_run (publish_week, slices, succeeded, project_hash, full_refresh)
           values (%s, %s, false, %s, %s) returning build_run_id""",
        [week, sum(by_form.values()), project_hash, full_refresh],
    ).fetchone()[0]
    connection.execute("analyze ops.build_slice")
    return run, sum(by_form.values()), sorted(by_form)


def _close_run(connection: psycopg.Connection, run: int, invocation: str | None) -> None:
    """Mark what was built. A slice that was noted again, or whose submissions were superseded meanwhile, stays pending."""
    with connection.transaction():
        connection.execute(
            """update ops.pending_slice p set built = true
               from ops.build_slice b join intermediate.int_reporting__slice i using (form, county_code, week)
               where (p.form, p.county_code, p.week, p.noted_at) = (b.form, b.county_code, b.week, b.noted_at) and not p.built
                 and not exists (
                     select from intake.submission s
                     where s.submission_id in (i.submission_id, i.previous_submission_id)
                       and not exists (select from intake.accepted_submission a where a.submission_id = s.submission_id))"""
        )
        connection.execute(
            "update ops.build_run set succeeded = true, finished_at = clock_timestamp(), dbt_invocation_id = %s where build_run_id = %s",
            [invocation, run],
        )


# ---------------------------------------------------------------- dbt


def _selection(forms: list[str]) -> list[str]:
    """What an incremental run needs: views, labels and code lists stand, facts only where slices changed."""
    own = [f"tag:{form}" for form in (forms if len(forms) <= FEW_FORMS else forms_of_marts().values())]
    return ["tag:slice", "tag:dimension,tag:moving", *own]


def database_address(connection: psycopg.Connection) -> dict[str, str]:
    """What the dbt profile asks of the environment, taken from a connection."""
    info = connection.info
    given = info.get_parameters()
    tls = {f"PG{name.upper()}": given[name] for name in ("sslmode", "sslrootcert", "sslcert", "sslkey") if name in given}
    return tls | {
        "DBT_WAREHOUSE_HOST": info.host,
        "DBT_WAREHOUSE_PORT": str(info.port),
        "DBT_WAREHOUSE_USER": info.user,
        "DBT_ENV_SECRET_WAREHOUSE_PASSWORD": info.password,
        "DBT_WAREHOUSE_DBNAME": info.dbname,
        "DBT_WAREHOUSE_ROLE": TRANSFORMER,
    } | {f"DBT_WAREHOUSE_{name.upper()}": info.get_parameters().get(name, "") for name in ENCRYPTION}


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _run_dbt(settings: Settings, folder: Path, address: dict[str, str], select: list[str], full_refresh: bool, progress: Callable[..., None] | None) -> str | None:
    """One ``dbt build``; returns its invocation id. Raises WarehouseError naming the node that failed."""
    arguments = ["build", "--exclude-resource-type", "unit_test"]
    arguments += ["--select", *select, "--indirect-selection", "buildable"] if select else []
    arguments += ["--full-refresh"] if full_refresh else []
    return invoke(settings, folder, address, arguments, progress)


def _make_tables(settings: Settings, connection: psycopg.Connection, *, folder: Path) -> None:
    """The candidate tables with their keys, and facts without rows, which come from elsewhere: a full refresh of no slices.

    Not dbt's ``--empty``, whose subqueries get a second alias. A cut-off loses nothing: the next build notes its slices anew.
    """
    connection.execute("create temporary table kept_slice as table ops.build_slice")
    connection.execute("delete from ops.build_slice")
    try:
        invoke(settings, folder, database_address(connection), ["build", "--full-refresh", "--exclude-resource-type", "test", "unit_test"])
    finally:
        connection.execute("insert into ops.build_slice table kept_slice")
        connection.execute("drop table kept_slice")


def invoke(settings: Settings, folder: Path, address: dict[str, str], arguments: list[str], progress: Callable[..., None] | None = None) -> str | None:
    """Run dbt in this process on the project in ``folder``; returns its invocation id. Raises WarehouseError naming what failed."""
    target = settings.home / "dbt" / "target"
    places = ["--project-dir", folder, "--profiles-dir", folder, "--target-path", target, "--log-path", settings.logs / "dbt"]
    environment = address | {
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        "WAREHOUSE_TIMEZONE": str(settings.timezone),
    }
    with _environment(environment):
        from dbt.cli.main import dbtRunner  # four seconds: only when there is something to build

        from warehouse.observe import lineage  # which comes to know the ledger, as this does

        done, invocation = 0, None

        def watch(event) -> None:
            nonlocal done, invocation
            invocation = event.info.invocation_id
            if progress and event.info.name == "LogModelResult":
                done += 1
                progress("dbt models", done)

        # a second for a list of all models, written twice, which lineage alone reads
        artifacts = ["--write-json" if lineage.enabled() else "--no-write-json"]
        quiet = ["--log-level", "none", "--log-level-file", "info", "--no-use-colors"]
        result = dbtRunner(callbacks=[watch]).invoke([*arguments[:1], *quiet, *artifacts, *map(str, places), *arguments[1:]])
    if not result.success:
        raise WarehouseError(_failure(result, settings))
    return invocation


def _failure(result, settings: Settings) -> str:
    where = f"The whole log is {settings.logs / 'dbt' / 'dbt.log'}; the slices stay pending, so run the build again when this is mended."
    if result.exception is not None:
        return f"dbt could not start the build: {result.exception}\n{where}"
    failed = [r for r in getattr(result.result, "results", []) if str(r.status) in ("error", "fail", "runtime error")]
    lines = [f"{r.node.unique_id}: {' '.join((r.message or '').split())}" for r in failed[:5]]
    more = f"\n… and {len(failed) - 5} more" if len(failed) > 5 else ""
    return "dbt failed in\n" + "\n".join(lines) + f"{more}\n{where}"
