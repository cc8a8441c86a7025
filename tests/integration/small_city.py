"""Three counties, two weeks, two publications: what the tests of reports and questions read. Made once for the whole run.

Week 23 comes whole. In week 24 the third county sends two forms only, so that the rest is carried forward; with it comes
a correction of the first county's employment in week 23.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from demo.generate import DemoSet, write_week
from expectations.judge import judge
from ingestion.load import load
from ingestion.receive import receive
from warehouse import database
from warehouse.build import build
from warehouse.calendar import due_at
from warehouse.publication import publish
from warehouse.settings import Settings

WHOLE, LISTED, SILENT = "451002", "451026", "451031"
COUNTIES = (WHOLE, LISTED, SILENT)
SENT = ("EMP01", "FUN01")
WEEKS = ("2020-W23", "2020-W24")


@dataclass
class City:
    settings: Settings
    truth: dict  # (form, county, week) → rows, as they must stand in the end
    first_sent: dict  # the same for what the correction replaced


_made: dict[str, City] = {}


def make(server: str, template: str, folder: Path) -> City:
    """The city of this server; the database is dropped with the server."""
    if server in _made:
        return _made[server]
    name = "small_city"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"drop database if exists {name} with (force)")
        admin.execute(f"create database {name} template {template} strategy file_copy")
    settings = replace(Settings.from_environment(), home=folder / "home", url=server.rsplit("/", 1)[0] + "/" + name)
    settings.prepare()
    first = write_week(folder / "w23", 23, counties=COUNTIES, payouts=6)
    second = write_week(folder / "w24", 24, counties=(WHOLE, LISTED), payouts=6)
    few = write_week(folder / "few", 24, counties=(SILENT,), forms=SENT, payouts=6)
    again = write_week(folder / "again", 23, counties=(WHOLE,), forms=("EMP01",), seed=77)
    with database.connect(settings, autocommit=True) as connection:
        _publish(connection, settings, [first], WEEKS[0])
        _publish(connection, settings, [second, few, again], WEEKS[1])
    truth = first.values | second.values | few.values
    city = City(settings, truth | again.values, {key: truth[key] for key in again.values})
    _made[server] = city
    return city


def _publish(connection, settings: Settings, sent: list[DemoSet], week: str) -> None:
    due = due_at(week, "*", {}, settings.timezone)
    for n, demo in enumerate(sent):
        receive(connection, settings, demo.folder, now=due - dt.timedelta(hours=5 - n))
    load(connection, settings, workers=0, outbox=False)
    now = due + dt.timedelta(hours=1)
    build(settings, now=now)
    verdict = judge(connection, settings, now=now, great_expectations=False)
    assert publish(connection, settings, check_run_id=verdict.check_run_id, approved_by="审核人甲") is not None


def standing(city: City, form: str, week: str) -> list[tuple[str, dict]]:
    """(county, row) of a form in a week, by the generator's truth: own figures, else those of the week before."""
    rows = []
    for county in COUNTIES:
        own = city.truth.get((form, county, week), city.truth.get((form, county, WEEKS[0]), []))
        rows += [(county, row) for row in own]
    return rows
