"""Eight readers over every fact at once while publications are made: nobody waits for long, nobody sees two of them mixed.

Each publication writes its own number into every row of every fact and of a dimension, so a single row that belongs to
another publication than the rest is seen.
"""

from __future__ import annotations

import os
import random
import statistics
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace

import psycopg
import pytest
from psycopg import sql

from demo.generate import write_week
from demo.places import load_counties
from ingestion.load import load
from ingestion.receive import receive
from warehouse import database
from warehouse.build import build
from warehouse.publication import publish, verify, withdraw
from warehouse.settings import Settings

pytestmark = [pytest.mark.database, pytest.mark.slow]
WEEK = "2020-W22"
PUBLICATIONS = 60 if os.environ.get("WAREHOUSE_LONG") else 12
MARK = "source_row_no"  # a figure that every fact has and no key rests on
DIMENSION, DIMENSION_MARK = "dim_fund_line", "position"


@dataclass
class Story:
    """What each publication should say everywhere, what the readers saw, and how long things took (seconds)."""

    settings: Settings
    facts: list[str]
    mark_of: dict[int, int] = field(default_factory=dict)  # publication → the number written into its rows
    seen: dict[str, list[tuple[int, frozenset]]] = field(default_factory=lambda: defaultdict(list))
    errors: list[str] = field(default_factory=list)
    reading: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    publishing: list[float] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)  # by fact


@pytest.fixture(scope="module")
def story(server, template, tmp_path_factory) -> Story:
    name = f"readers_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create database {name} template {template} strategy file_copy")
    settings = replace(Settings.from_environment(), home=tmp_path_factory.mktemp("readers"), url=server.rsplit("/", 1)[0] + "/" + name)
    settings.prepare()
    try:
        with database.connect(settings, autocommit=True) as connection:
            told = prepare(connection, settings, tmp_path_factory.mktemp("week"))
            tell(told, connection)
        yield told
    finally:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"drop database {name} with (force)")


def prepare(connection: psycopg.Connection, settings: Settings, folder) -> Story:
    """One week of three counties, all forms, as candidates."""
    codes = [county.code for county in load_counties(2020)][:3]
    write_week(folder, int(WEEK[-2:]), counties=codes, payouts=1000)
    receive(connection, settings, folder)
    load(connection, settings, workers=0, outbox=False)
    build(settings, publish_week=WEEK)
    facts = [name for (name,) in connection.execute("select tablename from pg_tables where schemaname = 'candidate' and tablename ~ '^fct_' order by 1")]
    return Story(settings, facts)


def tell(told: Story, connection: psycopg.Connection) -> None:
    mark(told, connection, 1)
    announce(told, connection, 1)
    for fact in told.facts:
        told.rows[fact] = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier("marts", fact))).fetchone()[0]
    kinds = [one_statement] * 4 + [one_snapshot] * 2 + [an_earlier_publication] * 2
    ended = threading.Event()
    readers = [threading.Thread(target=look_on, args=(told, kind, n, ended)) for n, kind in enumerate(kinds)]
    for reader in readers:
        reader.start()
    try:
        for number in range(2, PUBLICATIONS + 1):
            mark(told, connection, number)
            announce(told, connection, number)
        told.mark_of[PUBLICATIONS + 1] = PUBLICATIONS - 1
        withdraw(connection, told.settings, reason="误发布", by="审核人甲")
        ended.wait(0.3)  # some reads after the last one
    finally:
        ended.set()
        for reader in readers:
            reader.join()


def mark(told: Story, connection: psycopg.Connection, number: int) -> None:
    """Write a number into every candidate row and say that all slices have been built again."""
    with connection.transaction():
        for table, column in [*((fact, MARK) for fact in told.facts), (DIMENSION, DIMENSION_MARK)]:
            connection.execute(sql.SQL("update {} set {} = %s").format(sql.Identifier("candidate", table), sql.Identifier(column)), [number])
        connection.execute(
            """insert into ops.pending_slice (form, county_code, week, built)
               select distinct form, county_code, week, true from intake.submission where state <> 'returned' and superseded_by is null
               on conflict (form, county_code, week) do update set built = true"""
        )


def announce(told: Story, connection: psycopg.Connection, number: int) -> None:
    told.mark_of[number] = number  # before it is made: a reader may see it before `publish` returns
    began = time.monotonic()
    publication = publish(connection, told.settings, check_run_id=None, approved_by="审核人甲")
    told.publishing.append(time.monotonic() - began)
    assert publication is not None and publication.publication_id == number


# -- readers ---------------------------------------------------------------------------------------

Reading = tuple[int, frozenset]


def look_on(told: Story, read, number: int, ended: threading.Event) -> None:
    draw = random.Random(number)
    with database.connect(told.settings, autocommit=True) as connection:
        connection.execute("set lock_timeout = '50ms'")  # who waits longer for a publication has noticed it, and says so
        while not ended.is_set():
            began = time.monotonic()
            try:
                told.seen[f"{read.__name__} {number}"].append(read(told, connection, draw))
            except psycopg.Error as error:
                told.errors.append(f"{read.__name__}: {error!r}")
            told.reading[read.__name__].append(time.monotonic() - began)
            ended.wait(0.02)


def all_marks(told: Story) -> sql.Composed:
    """Every value that stands anywhere, with the number of the publication that is read; one statement."""
    parts = [sql.SQL("select {} as mark from {}").format(sql.Identifier(MARK), sql.Identifier("marts", fact)) for fact in told.facts]
    parts.append(sql.SQL("select {} from {}").format(sql.Identifier(DIMENSION_MARK), sql.Identifier("marts", DIMENSION)))
    return sql.SQL("select store.reading_publication(), array_agg(distinct mark), count(*) from ({}) everything").format(sql.SQL(" union all ").join(parts))


def one_statement(told: Story, connection: psycopg.Connection, draw: random.Random) -> Reading:
    publication, marks, _ = connection.execute(all_marks(told)).fetchone()
    return publication, frozenset(marks)


def one_snapshot(told: Story, connection: psycopg.Connection, draw: random.Random) -> Reading:
    """A report's way: statement after statement in one snapshot."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        (publication,) = connection.execute("select max(publication_id) from marts.dim_publication").fetchone()
        marks: set[int] = set()
        for fact in told.facts:
            marks |= {m for (m,) in connection.execute(sql.SQL("select distinct {} from {}").format(sql.Identifier(MARK), sql.Identifier("marts", fact)))}
    return publication, frozenset(marks)


def an_earlier_publication(told: Story, connection: psycopg.Connection, draw: random.Random) -> Reading:
    """An auditor's way: a publication by number, statement after statement without a transaction."""
    (latest,) = connection.execute("select max(publication_id) from marts.dim_publication").fetchone()
    wanted = draw.randint(1, latest)
    connection.execute(sql.SQL("set warehouse.publication = {}").format(sql.Literal(str(wanted))))
    try:
        marks: set[int] = set()
        for fact in told.facts:
            marks |= {m for (m,) in connection.execute(sql.SQL("select distinct {} from {}").format(sql.Identifier(MARK), sql.Identifier("marts", fact)))}
    finally:
        connection.execute("reset warehouse.publication")
    return wanted, frozenset(marks)


# -- what came of it -------------------------------------------------------------------------------


def test_every_reading_is_of_one_publication(story):
    readings = [reading for seen in story.seen.values() for reading in seen]
    mixed = [reading for reading in readings if reading[1] != {story.mark_of[reading[0]]}]
    print(f"\n{len(readings)} readings of {sum(story.rows.values())} rows in {len(story.facts)} facts during {len(story.mark_of)} publications")
    print(f"publish: longest {max(story.publishing):.3f} s, median {statistics.median(story.publishing):.3f} s")
    for kind, seconds in sorted(story.reading.items()):
        print(f"{kind}: longest {max(seconds):.3f} s, median {statistics.median(seconds):.3f} s of {len(seconds)}")
    assert not story.errors
    assert not mixed
    assert len(story.seen) == 8 and all(story.seen.values())


def test_the_readers_read_while_publications_were_made(story):
    """Otherwise there was nothing to see: each way of reading met several of them."""
    for kind in ("one_statement", "one_snapshot", "an_earlier_publication"):
        met = {publication for name, seen in story.seen.items() if name.startswith(kind) for publication, _ in seen}
        assert len(met) >= PUBLICATIONS // 2, kind
    empty = {fact for fact, rows in story.rows.items() if not rows}
    assert len(story.facts) >= 18 and len(empty) <= 2, empty


def test_no_reader_went_back_in_time(story):
    for name, seen in story.seen.items():
        if not name.startswith("an_earlier"):
            numbers = [publication for publication, _ in seen]
            assert numbers == sorted(numbers), name


def test_a_withdrawal_is_seen_whole_too(story):
    last = [seen[-1] for name, seen in story.seen.items() if name.startswith("one_")]
    assert set(last) == {(PUBLICATIONS + 1, frozenset({PUBLICATIONS - 1}))}


def test_the_ledger_agrees_with_every_row_afterwards(story):
    with database.connect(story.settings, autocommit=True) as connection:
        assert verify(connection) == []


def test_one_row_of_another_publication_would_be_seen(story):
    """The question's own proof: a single row, let in from the publication before, shows."""
    with database.connect(story.settings) as connection, connection.transaction(force_rollback=True):
        fact = sql.Identifier("store", min(fact for fact, rows in story.rows.items() if rows))
        connection.execute(sql.SQL("alter table {} disable trigger all").format(fact))
        one = sql.SQL("update {f} set {m} = 2 where ctid = (select min(ctid) from {f} where closed_in is null)")
        connection.execute(one.format(f=fact, m=sql.Identifier(MARK)))
        publication, marks = one_statement(story, connection, random.Random())
        assert publication == PUBLICATIONS + 1 and marks == {2, PUBLICATIONS - 1}
