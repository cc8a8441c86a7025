"""How marts made elsewhere come into PostgreSQL: only the slices of the build, in one step, or not at all. No Spark here."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from warehouse import database, spark
from warehouse.settings import WarehouseError

pytestmark = pytest.mark.database
FACT, LEDGER, DIMENSION, SLICES = "fct_consumption_weekly", "fct_rectification", "dim_county", "int_reporting__slice"
TABLES = f"""
create schema if not exists candidate; create schema if not exists intermediate; create schema landing_7;
create table intermediate.{SLICES} (form text, county_code text, week text, unique (form, county_code, week));
create table candidate.{DIMENSION} (county_code text primary key, county_name text, changed_by name default current_user);
create table candidate.{FACT} (week text, county_code text references candidate.{DIMENSION}, channel text, sales numeric, primary key (week, county_code, channel));
create table candidate.{LEDGER} (county_code text, finding_no text, week text, primary key (county_code, finding_no));
create table landing_7.{SLICES} (week text, form text, county_code text);
create table landing_7.{DIMENSION} (county_name text, county_code text, changed_by text);
create table landing_7.{FACT} (channel text, week text, county_code text, sales numeric(38, 20));
create table landing_7.{LEDGER} (finding_no text, county_code text, week text);
insert into candidate.{DIMENSION} values ('A', 'Alpha', 'then'), ('B', 'Beta', 'then'), ('Z', 'gone since', 'then');
insert into candidate.{FACT} values ('2020-W20', 'A', 'online', 1), ('2020-W20', 'B', 'online', 2), ('2020-W21', 'A', 'online', 3), ('2020-W21', 'A', 'fair', 4);
insert into candidate.{LEDGER} values ('A', '1', '2020-W20'), ('B', '1', '2020-W20');
insert into landing_7.{SLICES} values ('2020-W21', 'COP03', 'A'), ('2020-W21', 'COP03', 'C'), ('2020-W21', 'REC01', 'A');
insert into landing_7.{DIMENSION} values ('Alpha', 'A', 'then'), ('Beta II', 'B', 'now'), ('Gamma', 'C', 'now');
insert into landing_7.{FACT} values ('online', '2020-W21', 'A', 5.5), ('online', '2020-W21', 'C', 6.12345678901234567891);
insert into landing_7.{LEDGER} values ('2', 'A', '2020-W21');
"""
ROWS = {SLICES: 3, DIMENSION: 3, FACT: 2, LEDGER: 1}


@pytest.fixture
def landed(settings):
    with database.connect(settings, autocommit=True) as opened:
        opened.execute(TABLES)
        yield opened


def put(connection, rows):
    with connection.transaction():
        spark._put_in_place(connection, "landing_7", rows)


def test_only_the_slices_of_the_build_are_replaced(landed):
    put(landed, ROWS)
    fact = landed.execute(f"select week, county_code, channel, sales from candidate.{FACT} order by 1, 2, 3").fetchall()
    assert fact == [
        ("2020-W20", "A", "online", 1), ("2020-W20", "B", "online", 2), ("2020-W21", "A", "online", Decimal("5.5")),
        ("2020-W21", "C", "online", Decimal("6.12345678901234567891")),
    ]  # fmt: skip
    assert landed.execute(f"select county_code, finding_no from candidate.{LEDGER} order by 1").fetchall() == [("A", "2"), ("B", "1")]
    assert landed.execute(f"select count(*) from intermediate.{SLICES}").fetchone() == (3,)


def test_a_number_keeps_no_decimals_that_nobody_wrote(landed):
    put(landed, ROWS)
    assert landed.execute(f"select sales::text from candidate.{FACT} where sales = 5.5").fetchone() == ("5.5",)


def test_a_dimension_takes_what_is_new_or_differs_and_loses_nothing(landed):
    place = f"select ctid from candidate.{DIMENSION} where county_code = 'A'"
    before = landed.execute(place).fetchone()
    put(landed, ROWS)
    found = landed.execute(f"select county_code, county_name from candidate.{DIMENSION} order by 1").fetchall()
    assert found == [("A", "Alpha"), ("B", "Beta II"), ("C", "Gamma"), ("Z", "gone since")]
    assert landed.execute(place).fetchone() == before, "a row that says the same is not written again"


def test_rows_that_got_lost_on_the_way_stop_it_all(landed):
    with pytest.raises(WarehouseError, match=f"3 rows of {FACT}, 2 arrived"):
        put(landed, ROWS | {FACT: 3})
    assert landed.execute(f"select sum(sales) from candidate.{FACT}").fetchone() == (10,)


def test_what_breaks_a_key_stops_it_all(landed):
    landed.execute(f"update landing_7.{FACT} set county_code = 'nowhere' where county_code = 'C'")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        put(landed, ROWS)
    assert landed.execute(f"select sum(sales) from candidate.{FACT}").fetchone() == (10,)
    assert landed.execute(f"select count(*) from candidate.{DIMENSION}").fetchone() == (3,)


def test_what_is_lacking_is_said_before_anything_is_done(settings, monkeypatch):
    monkeypatch.setattr(spark, "PYTHON", Path("/nowhere/python"))
    with database.connect(settings, autocommit=True) as connection, pytest.raises(WarehouseError, match="make spark-install"):
        spark.make_rows(replace(settings, spark="local[2]"), connection, [], make_tables=None)
    assert not (settings.home / "lake").exists()


def test_a_socket_is_no_way_for_spark(settings):
    class Socket:
        class info:
            host = "/run/postgresql"

    with pytest.raises(WarehouseError, match="TCP"):
        spark._jdbc_url(Socket)
