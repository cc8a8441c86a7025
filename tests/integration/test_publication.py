"""Build, publish, correct, withdraw: one database, one story told once, looked at from several sides."""

import itertools
import threading
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from warehouse_rows import submit

from warehouse import database
from warehouse.build import build, database_address, invoke
from warehouse.dbt_sources import PROJECT
from warehouse.publication import Publication, holds, publish, release, verify, withdraw
from warehouse.settings import Settings, WarehouseError

pytestmark = [pytest.mark.database, pytest.mark.slow]
A, B = "451022", "451024"
Content = dict[str, list[tuple]]
_numbers = itertools.count(1)


@dataclass
class Story:
    """What was published in each step, and the marts as they stood then."""

    settings: Settings
    publications: list[Publication] = field(default_factory=list)
    copies: list[Content] = field(default_factory=list)
    read_during: list[tuple] = field(default_factory=list)
    reader_errors: list[str] = field(default_factory=list)
    failure: str = ""
    pending_after_failure: int = 0
    pending_after_withdrawal: list[tuple] = field(default_factory=list)
    held: list[tuple] = field(default_factory=list)
    without_release: Publication | None = None
    after_withdrawal: Content = field(default_factory=dict)
    incremental: Content = field(default_factory=dict)
    full: Content = field(default_factory=dict)

    def publish(self, connection) -> None:
        self.publications.append(publish(connection, self.settings, check_run_id=None, approved_by="reviewer"))
        self.copies.append(content(connection, "marts"))


def content(connection, schema: str) -> Content:
    """Every fact and dimension of a schema, rows sorted; the ledger itself left out."""
    names = connection.execute(
        r"select table_name from information_schema.tables where table_schema = %s and table_name ~ '^(fct|dim)_' and table_name not in ('dim_publication', 'fct_revision')",
        [schema],
    ).fetchall()
    found = {}
    for (name,) in sorted(names):
        columns = connection.execute(
            "select string_agg(quote_ident(column_name), ', ' order by column_name) from information_schema.columns where (table_schema, table_name) = (%s, %s)",
            [schema, name],
        ).fetchone()[0]
        found[name] = sorted(connection.execute(f"select {columns} from {schema}.{name}").fetchall(), key=repr)
    connection.commit()
    return found


def sales(online: int, fair: int) -> list[dict]:
    return [{"channel": "online", "sales": Decimal(online)}, {"channel": "fair", "sales": Decimal(fair)}]


def first_week(connection) -> None:
    for county in (A, B):
        submit(connection, "COP03", county, "2020-W22", sales(100, 50))
        submit(connection, "EMP01", county, "2020-W22", [{"township": f"{county}100"}, {"township": f"{county}101"}])
        submit(connection, "MON02", county, "2020-W22", [{"household_no": "H1"}])
        submit(connection, "IND02", county, "2020-W22", [{"payment_no": f"P{county}"}])
        submit(connection, "REC01", county, "2020-W22", [{"finding_no": "N1"}, {"finding_no": "N2"}])
        submit(connection, "REL01", county, "2020-W22", [{"site_code": "S1"}])
        submit(connection, "COP01", county, "2020-W22", [{"project_no": "P1"}, {"project_no": "P2"}])
    connection.commit()


@pytest.fixture(scope="module")
def story(server, template, tmp_path_factory) -> Story:
    name = f"story_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create database {name} template {template} strategy file_copy")
    home = tmp_path_factory.mktemp("story")
    told = Story(replace(Settings.from_environment(), home=Path(home), url=server.rsplit("/", 1)[0] + "/" + name))
    told.settings.prepare()
    with database.connect(told.settings) as connection:
        tell(told, connection)
    yield told
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)")


def tell(told: Story, connection) -> None:
    settings = told.settings
    # 1: the first week of two counties
    first_week(connection)
    build(settings, publish_week="2020-W22")
    told.publish(connection)

    # 2: the next week, which one county reports; readers go on reading while it is published
    submit(connection, "COP03", A, "2020-W23", sales(130, 50))
    submit(connection, "REC01", A, "2020-W23", [{"finding_no": "N1", "status": "verified"}, {"finding_no": "N2"}])
    connection.commit()
    build(settings, publish_week="2020-W23")
    with reader(told):
        told.publish(connection)

    # 3: a build that fails leaves its slices pending, and the county's correction mends it
    submit(connection, "EMP01", B, "2020-W23", [{"township": "999999999"}])
    connection.commit()
    with pytest.raises(WarehouseError) as failure:
        build(settings, publish_week="2020-W23")
    told.failure = str(failure.value)
    told.pending_after_failure = connection.execute("select count(*) from ops.pending_slice where form = 'EMP01' and not built").fetchone()[0]
    submit(connection, "EMP01", B, "2020-W23", [{"township": f"{B}100", "employed_away": 11}])
    submit(connection, "COP03", A, "2020-W22", sales(110, 50))  # a correction of a published week
    submit(connection, "COP01", A, "2020-W22", [{"project_no": "P1"}])  # and one that takes a row away
    submit(connection, "MON02", A, "2020-W22", [])
    connection.commit()
    build(settings, publish_week="2020-W23")
    told.publish(connection)

    # 4: it is taken back; a cycle without anything new publishes nothing; released, it is built and published again
    told.publications.append(withdraw(connection, settings, reason="误发布", by="reviewer"))
    connection.commit()
    told.copies.append(content(connection, "marts"))
    told.pending_after_withdrawal = connection.execute("select form, county_code, week, built from ops.pending_slice order by 1, 2, 3").fetchall()
    connection.commit()
    told.held = [(h["form"], h["county_code"], h["week"], h["version"]) for h in holds(connection)]
    build(settings)
    told.without_release = publish(connection, settings, check_run_id=None, approved_by="reviewer")
    told.after_withdrawal = content(connection, "candidate")
    release(connection, by="reviewer", reason="核实无误")
    build(settings, publish_week="2020-W23")
    told.publish(connection)
    told.incremental = content(connection, "candidate")
    build(settings, publish_week="2020-W23", full_refresh=True)
    told.full = content(connection, "candidate")


class reader:
    """Reads two marts in one statement, again and again, until the block ends."""

    def __init__(self, told: Story):
        self.told, self.ended = told, threading.Event()
        self.thread = threading.Thread(target=self.read)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.ended.wait(0.2)  # some reads after the publication too
        self.ended.set()
        self.thread.join()

    def read(self):
        with database.connect(self.told.settings, autocommit=True) as connection:
            while not self.ended.is_set():
                try:
                    self.told.read_during.append(
                        connection.execute(
                            """select (select count(*) from marts.dim_week where week = '2020-W23'),
                                      (select count(*) from marts.fct_consumption_weekly where week = '2020-W23')"""
                        ).fetchone()
                    )
                except psycopg.Error as error:
                    self.told.reader_errors.append(str(error))


def rows(told: Story, query: str, publication: int | None = None) -> list[tuple]:
    with database.connect(told.settings, autocommit=True) as connection:
        if publication:
            connection.execute(f"set warehouse.publication = '{publication}'")
        return connection.execute(query).fetchall()


def test_each_publication_says_why_it_was_made(story):
    assert [(p.publication_id, p.week, p.trigger, p.restores) for p in story.publications] == [
        (1, "2020-W22", "weekly", None),
        (2, "2020-W23", "weekly", None),
        (3, "2020-W23", "correction", None),
        (4, "2020-W23", "withdrawal", 2),
        (5, "2020-W23", "correction", None),
    ]


def test_earlier_publications_are_read_again_exactly_as_they_were(story):
    with database.connect(story.settings) as connection:
        for publication, copy in zip(story.publications, story.copies, strict=True):
            connection.execute(f"set warehouse.publication = '{publication.publication_id}'")
            assert content(connection, "marts") == copy
    assert story.copies[0] != story.copies[1] != story.copies[2]


def test_a_withdrawal_restores_the_publication_before_and_notes_its_slices_again(story):
    assert story.copies[3] == story.copies[1]
    assert ("COP03", A, "2020-W22", False) in story.pending_after_withdrawal
    assert ("EMP01", B, "2020-W23", False) in story.pending_after_withdrawal
    assert not any(built for *_, built in story.pending_after_withdrawal)
    assert story.copies[4] == story.copies[2]


def test_what_was_withdrawn_is_held_back_until_it_is_released(story):
    assert sorted(story.held) == [
        ("COP01", A, "2020-W22", 2),
        ("COP03", A, "2020-W22", 2),
        ("EMP01", B, "2020-W23", 1),  # superseded before it was ever published
        ("EMP01", B, "2020-W23", 2),
        ("MON02", A, "2020-W22", 2),  # an empty form has no rows and took some away all the same
    ]
    assert story.without_release is None
    assert story.after_withdrawal == story.copies[1]


def test_incremental_builds_end_where_a_full_one_does(story):
    assert story.incremental == story.full
    assert story.incremental["fct_consumption_weekly"]


def test_a_missing_county_is_carried_and_marked(story):
    query = f"select week, carried_from_week, sales, sales_increment from marts.fct_consumption_weekly where county_code = '{B}' and channel = 'online' order by week"
    assert rows(story, query) == [("2020-W22", None, 100, None), ("2020-W23", "2020-W22", 100, None)]
    assert rows(story, f"select count(*) from marts.fct_subsidy_payment where county_code = '{B}'") == [(1,)]


def test_a_correction_revises_the_increment_of_the_week_after(story):
    query = f"select week, sales, sales_increment from marts.fct_consumption_weekly where county_code = '{A}' and channel = 'online' order by week"
    assert rows(story, query, 2) == [("2020-W22", 100, None), ("2020-W23", 130, 30)]
    assert rows(story, query, 3) == [("2020-W22", 110, None), ("2020-W23", 130, 20)]


def test_rows_and_slices_that_vanish_vanish(story):
    projects = f"select week, project_no from marts.fct_cooperation_project_weekly where county_code = '{A}' order by 1, 2"
    assert rows(story, projects, 2) == [("2020-W22", "P1"), ("2020-W22", "P2"), ("2020-W23", "P1"), ("2020-W23", "P2")]
    assert rows(story, projects) == [("2020-W22", "P1"), ("2020-W23", "P1")]
    households = "select county_code, week from marts.fct_monitored_household order by 1, 2"
    assert rows(story, households, 2) == [(A, "2020-W22"), (A, "2020-W23"), (B, "2020-W22"), (B, "2020-W23")]
    assert rows(story, households) == [(B, "2020-W22"), (B, "2020-W23")]


def test_a_finding_keeps_one_row_with_its_last_state(story):
    query = "select county_code, finding_no, status, first_seen_week, last_seen_week from marts.fct_rectification order by 1, 2"
    assert rows(story, query) == [
        (A, "N1", "verified", "2020-W22", "2020-W23"),
        (A, "N2", "open", "2020-W22", "2020-W23"),
        (B, "N1", "open", "2020-W22", "2020-W22"),
        (B, "N2", "open", "2020-W22", "2020-W22"),
    ]


def test_readers_see_a_whole_publication_or_none_of_it(story):
    assert not story.reader_errors
    assert set(story.read_during) <= {(0, 0), (1, 4)}
    assert story.read_during[-1] == (1, 4)


def test_a_failed_build_names_the_model_and_leaves_its_slices_pending(story):
    assert "fct_employment_weekly" in story.failure and "township" in story.failure
    assert story.pending_after_failure >= 1


def test_a_publication_knows_its_submissions(story):
    query = """select s.form, s.week, s.version from store.publication_submission p join intake.submission s using (submission_id)
               where s.county_code = '451022' and s.form = 'COP03' and p.opened_in <= {n} and (p.closed_in is null or p.closed_in > {n}) order by 1, 2, 3"""
    assert rows(story, query.format(n=2)) == [("COP03", "2020-W22", 1), ("COP03", "2020-W23", 1)]
    assert rows(story, query.format(n=3)) == [("COP03", "2020-W22", 2), ("COP03", "2020-W23", 1)]
    assert rows(story, query.format(n=4)) == rows(story, query.format(n=2))


def test_marts_are_commented_and_hold_no_version_columns(story):
    bare = rows(
        story,
        """select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
           where c.relnamespace = 'marts'::regnamespace
             and (coalesce(col_description(c.oid, a.attnum), '') !~ ' [|] ' and c.relname <> 'dim_publication' or a.attname in ('opened_in', 'closed_in'))""",
    )
    assert bare == []


def test_nothing_new_is_no_publication(story):
    with database.connect(story.settings) as connection:
        assert publish(connection, story.settings, check_run_id=None, approved_by="reviewer") is None
    assert build(story.settings, publish_week="2020-W23").build_run_id is None


def test_the_ledger_refuses_changes_and_shows_those_that_were_forced(story):
    with database.connect(story.settings) as connection:
        assert verify(connection) == []
        for statement in (
            "update store.publication set note = 'x'",
            "delete from store.publication where publication_id = 5",
            "update store.fct_consumption_weekly set sales = 1",
            "delete from store.fct_consumption_weekly",
        ):
            with pytest.raises(psycopg.errors.RestrictViolation), connection.transaction():
                connection.execute(statement)
        with connection.transaction(force_rollback=True):
            connection.execute("alter table store.fct_consumption_weekly disable trigger all")
            connection.execute("update store.fct_consumption_weekly set sales = sales + 1 where opened_in = 2")
            assert "Publication 2: rows of marts.fct_consumption_weekly were altered." in verify(connection)


def test_a_reader_without_rights_on_the_store_reads_the_marts(story):
    with database.connect(story.settings) as connection, connection.transaction(force_rollback=True):
        connection.execute("create role mart_reader")
        connection.execute("grant bi_reader to mart_reader")
        connection.execute("set local role mart_reader")
        assert connection.execute("select count(*) from marts.fct_consumption_weekly").fetchone()[0] > 0
        assert connection.execute("select max(publication_id) from marts.dim_publication").fetchone()[0] >= 5


def test_the_models_unit_tests_hold(story):
    """dbt's own unit tests, on the tables of this database."""
    with database.connect(story.settings) as connection:
        invoke(story.settings, PROJECT, database_address(connection), ["test", "--select", "test_type:unit"])
