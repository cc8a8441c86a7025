"""Render every page into a new folder and put it in place of the old one."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import psycopg

from reporting.site import data, figures, span
from reporting.site.finding_pages import write_counties, write_finder, write_rules
from reporting.site.ledger_pages import write_ledger
from reporting.site.mart_pages import write_charts, write_figures
from reporting.site.pages import HERE, MAP_COUNTIES, Site
from reporting.site.week_pages import anomaly_weeks, carried_groups, change, trend, week_view, write_weeks
from warehouse.roles import AUDITOR, as_role
from warehouse.settings import Settings

Progress = Callable[[str], None] | None


@as_role(AUDITOR)
def build_site(connection: psycopg.Connection, settings: Settings, progress: Progress = None) -> Path:
    """Write ``home/reports/quality/`` anew from the database and return the path of its index.html.

    Pages are made beside the old ones and take their place at the end, so a reader never meets half of them. Nothing
    is written to the database. An empty warehouse gives an index that says how to fill it.
    """
    say = progress or (lambda _: None)
    if connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
        with connection.transaction():  # one snapshot, so that pages agree with each other
            connection.execute("set transaction isolation level repeatable read, read only")
            return _build(connection, settings, say)
    return _build(connection, settings, say)


def _build(connection: psycopg.Connection, settings: Settings, say: Callable[[str], None]) -> Path:
    say("reading quality, intake and published marts")
    folder = settings.reports / "quality"
    weeks = span.weeks(connection, folder)
    first_publication, stood = span.first_publication(connection, folder)
    facts = data.load(connection, settings.timezone, weeks, first_publication)
    published, carried = figures.load_figures(connection, (facts.publication or {}).get("week"), weeks[0] if weeks else "")
    draft = settings.reports / f".quality.{uuid.uuid4().hex[:8]}"
    try:
        site = Site(connection, settings, facts, published, carried, draft)
        site.standing, site.first_publication, site.stood = folder, first_publication, stood
        say("writing pages")
        _write(site)
        _put_in_place(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    say(f"{site.count} pages")
    return folder / "index.html"


def _put_in_place(draft: Path, folder: Path) -> None:
    old = folder.with_name(f".quality.old.{uuid.uuid4().hex[:8]}")
    if folder.exists():
        os.rename(folder, old)
    os.rename(draft, folder)
    shutil.rmtree(old, ignore_errors=True)


def _write(site: Site) -> None:
    shutil.copytree(HERE / "assets", site.root / "assets")
    if not site.facts.week:
        site.page("index.html", "empty.html", title="尚无数据", home=site.settings.home)
        return
    write_counties(site)
    write_rules(site)
    write_finder(site)
    write_ledger(site)
    write_weeks(site)
    write_figures(site)
    write_charts(site)
    site.page("anomalies.html", "anomalies.html", title="异常数字", weeks=anomaly_weeks(site))
    site.page("index.html", "index.html", title="概览", codes=list(site.facts.counties)[:MAP_COUNTIES], **week_view(site, site.facts.week), carried=carried_groups(site), trend=trend(site), change=change(site))
