"""Incremental equals full: whatever came in whatever order, what is published is what a rebuild from the originals gives.

Hypothesis draws sequences of deliveries, late files, corrections (some of which the rules return), withdrawals and
releases; each step is received, loaded, built and published as in an ordinary week. Then the archived originals are
received and loaded once more into an empty warehouse, in the order in which they came, with the same decisions between
them, everything is built in one go and published once: every mart holds the same rows.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import hypothesis
import psycopg
import pytest
from hypothesis import strategies as st
from quick_build import MOVING, quick_build

from demo import workbooks
from demo.generate import _worked_out, write_week
from demo.places import load_counties
from demo.sheets import build_sheet
from demo.styles import assign
from ingestion.load import load
from ingestion.receive import receive
from warehouse import database, originals
from warehouse.build import build
from warehouse.publication import holds, publish, release, verify, withdraw
from warehouse.publication.store import candidate_marts
from warehouse.settings import Settings

pytestmark = [pytest.mark.database, pytest.mark.slow]
EXAMPLES = 40 if os.environ.get("WAREHOUSE_LONG") else 1  # besides the one written down
NUDGED = {"COP03": "sales", "IND02": "amount", "FUN01": "arrived"}  # form → the figure that a small correction changes
COUNTIES, FORMS, FIRST = ("451002", "451022"), ("EMP01", "COP03", "IND02", "REC01", "REL01", "FUN01"), 21
_numbers = itertools.count(1)
_seen: dict[str, int] = {}

DELIVERY = st.tuples(st.just("deliver"), st.sampled_from([COUNTIES, COUNTIES[:1], COUNTIES[1:]]), st.sets(st.sampled_from(FORMS), min_size=2))
NUDGE = st.tuples(st.just("nudge"), st.sampled_from(COUNTIES), st.sampled_from(sorted(NUDGED)), st.integers(0, 3), st.integers(1, 9))
OTHERWISE = st.tuples(st.just("otherwise"), st.sampled_from(COUNTIES), st.sampled_from(FORMS), st.integers(0, 3), st.sampled_from([7, 8]))
STEPS = st.lists(st.one_of(DELIVERY, NUDGE, NUDGE, OTHERWISE, st.just(("withdraw",)), st.just(("release",))), min_size=5, max_size=9)


@dataclass
class Warehouse:
    settings: Settings
    week: int = FIRST
    came: list[tuple[str, object]] = field(default_factory=list)  # ("file", …), ("hold", …), ("release", …) in order


@pytest.fixture(scope="module")
def models(server, template, tmp_path_factory):
    """A home whose models dbt has compiled, and a database with its tables and nothing in them."""
    name = f"empty_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create database {name} template {template} strategy file_copy")
    settings = replace(Settings.from_environment(), home=tmp_path_factory.mktemp("models"), url=_database(server, name))
    settings.prepare()
    write_week(settings.home / "first", FIRST, counties=COUNTIES[:1], forms=("COP03",))
    with database.connect(settings, autocommit=True) as connection:
        receive(connection, settings, settings.home / "first")
        load(connection, settings, workers=0, outbox=False)
        build(settings, publish_week=f"2020-W{FIRST}")
        _empty(connection)
    yield settings
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)")


def _empty(connection) -> None:
    moved = [t for (t,) in connection.execute("select 'candidate.' || tablename from pg_tables where schemaname = 'candidate' and (tablename ~ '^fct' or tablename = any(%s))", [list(MOVING)])]
    raw = [t for (t,) in connection.execute("select 'raw.' || tablename from pg_tables where schemaname = 'raw'")]
    connection.execute("set session_replication_role = replica")
    connection.execute(f"truncate {', '.join([*moved, *raw])}, intake.file, intake.submission, ops.pending_slice, quality.finding restart identity cascade")
    connection.execute("update ops.build_run set publish_week = '', full_refresh = false")
    connection.execute("reset session_replication_role")


def _database(server: str, name: str) -> str:
    return server.rsplit("/", 1)[0] + "/" + name


def opened(server: str, models: Settings, folder: Path) -> Warehouse:
    """A warehouse of its own, empty."""
    name = f"sequence_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create database {name} template {models.url.rsplit('/', 1)[1]} strategy file_copy")
    settings = replace(models, home=folder / name, url=_database(server, name))
    settings.prepare()
    shutil.copytree(models.home / "secrets", settings.home / "secrets", dirs_exist_ok=True)  # pseudonyms are keyed
    return Warehouse(settings)


def closed(server: str, warehouse: Warehouse) -> None:
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"drop database if exists {warehouse.settings.url.rsplit('/', 1)[1]} with (force)")
    shutil.rmtree(warehouse.settings.home, ignore_errors=True)


# ---------------------------------------------------------------- as it happens


def take_in(warehouse: Warehouse, connection, folder: Path, hours: int) -> None:
    known = {n for (n,) in connection.execute("select file_id from intake.file")}
    receive(connection, warehouse.settings, folder, now=dt.datetime(2020, 5, 24, tzinfo=dt.UTC) + dt.timedelta(hours=hours))
    load(connection, warehouse.settings, workers=0, outbox=False)
    files = connection.execute("select file_id, sha256, original_path, received_at from intake.file order by file_id").fetchall()
    warehouse.came += [("file", f[1:]) for f in files if f[0] not in known]


def nudge(folder: Path, county: str, form: str, number: int, by: int) -> None:
    """The week as the county sent it (or late, where it never did), a few yuan more or less in every row."""
    true = write_week(folder.parent / "true" / f"{folder.name}", number, counties=[county], forms=[form], payouts=3)
    week, place = true.weeks[0], next(c for c in load_counties(2020) if c.code == county)
    rows = [_worked_out(form, {**row, NUDGED[form]: row[NUDGED[form]] + (-by if form == "COP03" else by)}) for row in true.values[form, county, week]]
    style = assign(load_counties(2020), 2020)[county]
    as_of = dt.date.fromisocalendar(2020, number, 7)
    names = {"county": place.name, "short": place.short, "year": 2020, "week": f"{number:02d}", "mmdd": f"{as_of:%m%d}"}
    workbooks.write_files(folder, {form: build_sheet(form, place, as_of, rows, style)}, style, names, single=f"更正{folder.name}")


def built_and_published(warehouse: Warehouse, connection, marts) -> None:
    quick_build(connection, warehouse.settings, marts, _horizon(connection))
    if publish(connection, warehouse.settings, check_run_id=None, approved_by="审核人"):
        _seen["publications"] = _seen.get("publications", 0) + 1


def _horizon(connection) -> str:
    built = connection.execute("select coalesce(max(publish_week), '') from ops.build_run where succeeded").fetchone()[0]
    return max(built, connection.execute("select coalesce(max(week), '') from intake.accepted_submission").fetchone()[0])


def happen(warehouse: Warehouse, connection, steps: list[tuple], folder: Path) -> None:
    """Step after step, each with its build and publication."""
    marts = candidate_marts(connection)
    for number, (kind, *about) in enumerate([("deliver", COUNTIES, set(FORMS)), *steps]):
        drop = folder / f"{number}"
        if kind == "deliver":
            counties, forms = about
            write_week(drop, warehouse.week, counties=counties, forms=sorted(forms), payouts=3)
            warehouse.week += 1
        elif kind == "nudge":
            county, form, back, by = about
            nudge(drop, county, form, max(FIRST, warehouse.week - 1 - back), by)
        elif kind == "otherwise":  # figures of another course altogether, which cross-week rules may well return
            county, form, back, seed = about
            write_week(drop, max(FIRST, warehouse.week - 1 - back), counties=[county], forms=[form], seed=seed, payouts=3)
        elif kind == "withdraw":
            standing = connection.execute("select publication_id, restores from store.publication order by 1 desc limit 1").fetchone()
            if not standing or (standing[1] or standing[0]) < 2:
                continue
            withdraw(connection, warehouse.settings, reason="误发布", by="审核人")
            _seen["withdrawals"] = _seen.get("withdrawals", 0) + 1
            warehouse.came.append(("hold", [h["submission_id"] for h in holds(connection)]))
            continue
        elif kind == "release":
            if not (held := [h["submission_id"] for h in holds(connection)]):
                continue
            release(connection, by="审核人", submission_ids=held[:2])
            warehouse.came.append(("release", held[:2]))
        if drop.exists():
            take_in(warehouse, connection, drop, 24 * number)
        built_and_published(warehouse, connection, marts)


# ---------------------------------------------------------------- and once more


def rebuild(warehouse: Warehouse, connection, came: list[tuple[str, object]], home: Settings, folder: Path) -> None:
    """Everything from the archive, then one build and one publication."""
    for number, (kind, what) in enumerate(came):
        if kind == "file":
            sha256, path, received_at = what
            target = folder / f"again-{number}" / path
            target.parent.mkdir(parents=True)
            target.write_bytes(originals.read(home, sha256))
            receive(connection, warehouse.settings, folder / f"again-{number}", now=received_at)
            load(connection, warehouse.settings, workers=0, outbox=False)
        elif kind == "hold":
            connection.execute(
                """insert into intake.hold (submission_id, reason, held_by) select n, '误发布', '审核人' from unnest(%s::bigint[]) n
                   where not exists (select from intake.hold h where h.submission_id = n and h.released_at is null)""",
                [what],
            )
        else:
            release(connection, by="审核人", submission_ids=what)
    quick_build(connection, warehouse.settings, candidate_marts(connection), _horizon(connection), everything=True)
    publish(connection, warehouse.settings, check_run_id=None, approved_by="审核人")


def published(connection) -> dict[str, set]:
    """Every row of every fact and dimension; when something was received is the original's, the rest of the clock is left out."""
    names = [n for (n,) in connection.execute("select viewname from pg_views where schemaname = 'marts' and viewname ~ '^(dim|fct)_' and viewname not in ('dim_publication', 'fct_revision')")]
    return {n: set(connection.execute(f"select t::text from marts.{n} t")) for n in names}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sequences")


@hypothesis.settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate])
@hypothesis.given(steps=STEPS)
@hypothesis.example(
    steps=[
        ("otherwise", "451022", "COP03", 0, 7), ("deliver", COUNTIES[:1], {"EMP01", "COP03", "REC01"}), ("nudge", "451002", "COP03", 1, 3), ("withdraw",),
        ("deliver", COUNTIES, set(FORMS)), ("nudge", "451022", "COP03", 1, 2), ("release",), ("otherwise", "451022", "REC01", 1, 8), ("withdraw",),
        ("nudge", "451022", "FUN01", 0, 5),
    ]
)  # fmt: skip
def test_what_is_published_is_what_a_rebuild_from_the_originals_gives(steps, server, models, folder):
    own = folder / str(next(_numbers))
    first, second = opened(server, models, own / "a"), opened(server, models, own / "b")
    try:
        for warehouse in (first, second):  # the models are found below the home
            (warehouse.settings.home / "dbt").symlink_to(models.home / "dbt", target_is_directory=True)
        with database.connect(first.settings, autocommit=True) as connection:
            happen(first, connection, steps, own)
            incremental, faults = published(connection), verify(connection)
            _seen["corrected"] = _seen.get("corrected", 0) + connection.execute("select count(*) from intake.accepted_submission where version > 1").fetchone()[0]
            _seen["returned"] = _seen.get("returned", 0) + connection.execute("select count(*) from intake.submission where state = 'returned'").fetchone()[0]
        with database.connect(second.settings, autocommit=True) as connection:
            rebuild(second, connection, first.came, first.settings, own)
            full = published(connection)
        assert faults == []
        assert incremental.keys() == full.keys() and sum(map(len, full.values())) > 100
        for mart in full:
            assert incremental[mart] == full[mart], mart
    finally:
        closed(server, first)
        closed(server, second)
        shutil.rmtree(own, ignore_errors=True)


def test_the_sequences_held_what_they_should():
    assert _seen["publications"] > 5 and _seen["withdrawals"] >= 2 and _seen["corrected"] >= 2 and _seen["returned"] >= 1, _seen
