"""`warehouse bi` for real: Superset started on a published warehouse, every chart's figures against SQL, every page in a
browser, a county's reader who sees one county, and nothing left behind after Ctrl-C. `make test-bi`; a quarter of an hour.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
import requests
from superset_client import Superset
from test_pages import CHROMIUM, browse  # noqa: F401 - a fixture

from bi.charts import Chart
from bi.dashboards import pages
from bi.datasets import datasets
from demo.generate import write_week
from demo.places import load_counties
from reporting.metrics import catalogue, metric
from warehouse import database
from warehouse.calendar import due_at
from warehouse.commands.bi import ENVIRONMENT
from warehouse.cycle import run_cycle
from warehouse.embedded import EmbeddedServer
from warehouse.settings import REPOSITORY, Settings

sys.path.insert(0, str(REPOSITORY / "tests" / "integration"))
from bi_queries import chart_query
from metric_queries import SLICES

pytestmark = [
    pytest.mark.database,
    pytest.mark.long,
    pytest.mark.skipif(not os.environ.get("WAREHOUSE_LONG"), reason="only with WAREHOUSE_LONG=1 (make test-bi)"),
    pytest.mark.skipif(not (ENVIRONMENT / "bin" / "python").exists(), reason="Superset's environment is not there: make bi-install"),
]
WEEKS = (23, 24)
SILENT = "451031"  # sends nothing in the last week: carried forward
SECONDS = 600


@dataclass
class Site(Superset):
    settings: Settings
    process: subprocess.Popen
    log: Path

    @property
    def admin(self) -> requests.Session:
        return self.login("admin", self.settings.secret("bi_admin_password"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Two weeks of twelve counties, published one by one, and `warehouse bi` on them."""
    folder = tmp_path_factory.mktemp("bi")
    settings = replace(Settings.from_environment(), home=folder / "home", url=None)
    settings.prepare()
    for number in WEEKS:
        week = f"2020-W{number}"
        senders = [c.code for c in load_counties(2020) if number < WEEKS[-1] or c.code != SILENT]
        write_week(folder / week, number, counties=senders, payouts=12)
        due = due_at(week, "*", {}, settings.timezone)
        done = run_cycle(settings, inbox=folder / week, arrivals=folder / week / "arrivals.csv", now=due + dt.timedelta(hours=1), approve_as="审核人甲")
        assert done.outcome == "published"
    EmbeddedServer(settings).stop()  # `warehouse bi` has to start it
    started = start(settings, folder)
    yield started
    if started.process.poll() is None:
        started.process.send_signal(signal.SIGINT)
        started.process.wait(120)
    EmbeddedServer(settings).stop()


def start(settings: Settings, folder: Path) -> Site:
    log = folder / f"bi-{time.monotonic_ns()}.log"
    environment = os.environ | {"WAREHOUSE_HOME": str(settings.home), "BI_PORT": "0"}
    environment.pop("WAREHOUSE_URL", None)
    with log.open("wb") as out:
        process = subprocess.Popen([str(Path(sys.executable).with_name("warehouse")), "bi"], env=environment, stdout=out, stderr=out, cwd=folder)
    until = time.monotonic() + SECONDS
    try:
        while "Everything is up" not in (text := log.read_text()):
            assert process.poll() is None and time.monotonic() < until, text
            time.sleep(1.0)
    except BaseException:
        process.terminate()
        process.wait(120)
        raise
    return Site(re.search(r"(http://127\.0\.0\.1:\d+)/dashboard/list", text)[1], settings, process, log)


@pytest.fixture(scope="module")
def admin(site):
    return site.admin


@pytest.fixture
def connection(site):
    with database.connect(site.settings, autocommit=True) as opened:
        yield opened


def plain(value):
    """As JSON has it, so that both sides can be compared: numbers rounded, dates as text."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()[:10]
    return str(round(Decimal(value), 6).normalize() + 0)


def answered(row: dict, names: list[str], days: set[str]) -> tuple:
    def day(v):
        return dt.datetime.fromtimestamp(v / 1000, dt.UTC).date().isoformat() if isinstance(v, (int, float)) else v and v[:10]

    return tuple(day(row[n]) if n in days else plain(row[n]) for n in names)


def columns_of(chart: Chart) -> list[str]:
    return [c if isinstance(c, str) else c["label"] for c in chart.query["columns"]]


# ---------------------------------------------------------------- figures


def test_what_it_prints_leads_to_every_page_and_tells_no_password(site):
    text = site.log.read_text()
    for page in pages():
        assert f"{site.address}/superset/dashboard/{page.slug}/" in text and page.title in text
    assert site.settings.secret("bi_admin_password") not in text and str(site.settings.home / "secrets" / "bi_admin_password") in text


def test_every_chart_has_data_and_says_what_sql_says(site, admin, connection):
    ids = site.ids(admin, "chart")
    for page in pages():
        for chart in page.charts:
            answer = admin.get(f"{site.address}/api/v1/chart/{ids[chart.uuid]}/data/", timeout=120)
            assert answer.ok, (chart.title, answer.text[:500])
            result = answer.json()["result"][0]
            names = [*columns_of(chart), *(m.label for m in chart.measures)]
            days = {n for n in names if chart.dataset.columns.get(n, ("", ""))[1] == "DATE"}
            found = Counter(answered(row, names, days) for row in result["data"])
            with connection.cursor() as cursor:
                expected = Counter(tuple(plain(v) for v in row) for row in cursor.execute(chart_query(chart)))
            assert found, f"{page.slug}: {chart.title} is empty"
            limit = chart.query["row_limit"]
            assert found == expected if sum(expected.values()) <= limit else not found - expected, f"{page.slug}: {chart.title}"


@pytest.mark.parametrize("publication", [1, 2])
def test_every_metric_is_the_figure_of_the_report(site, admin, connection, publication):
    ids, known = site.ids(admin, "dataset"), datasets()
    label, week = connection.execute("select publication, week from bi.publication where publication_id = %s", [publication]).fetchone()
    for name, about in catalogue().items():
        dataset = next(d for d in known.values() if name in d.measures)
        slices = [{about.never[0]: code} for code in SLICES[about.never[0]]] if about.never and not about.across else [{}]
        for of in slices:
            chosen = [{"col": column, "op": "==", "val": value} for column, value in of.items()] + [{"col": "publication", "op": "IN", "val": [label]}]
            chosen += [{"col": "weeks_back", "op": "==", "val": 0}] if dataset.weekly else []
            answer = site.ask(admin, ids[dataset.uuid], metrics=[dataset.measures[name].label], filters=chosen)
            assert answer.ok, (name, answer.text[:500])
            (row,) = answer.json()["result"][0]["data"]
            figure = metric(connection, name, week=week, publication=publication, of=of)
            scale, value = (10000 if about.unit == "yuan" else 1), row[dataset.measures[name].label]
            expected = None if figure.value is None else Decimal(figure.value) / scale
            if figure.value is None:
                assert not value, (name, of, value, figure.reason)
            else:
                assert abs(Decimal(str(value)) - expected) <= max(Decimal("1e-6"), abs(expected) * Decimal("1e-9")), (name, of)


# ---------------------------------------------------------------- pages

READY = """(() => {
  const charts = [...document.querySelectorAll('.dashboard-chart')];
  return charts.length === %d && !document.querySelector('.loading, [aria-label="Loading"]') && charts.every((c) => c.querySelector('canvas, svg, table, .header-line'));
})()"""
COMPLAINTS = """[...document.querySelectorAll('.dashboard-chart')].map((c) => c.innerText)
  .filter((t) => /没有数据|No data|无结果|No results|错误|Error|unexpected/i.test(t))
  .concat([...document.querySelectorAll('.ant-alert-error, .ant-alert-warning')].map((e) => e.innerText))"""
WORDS = """[...document.querySelectorAll('.dashboard-chart th, .dashboard-chart .pvtAttrLabel, .dashboard-chart .pvtColLabel')].map((e) => e.innerText.trim())"""

REFUSED = """new Promise((done) => {
  document.addEventListener('securitypolicyviolation', () => done(true), {once: true});
  new Image().src = %s;
  setTimeout(() => done(false), 5000);
})"""  # by the policy of the page, with or without a network


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: install chromium to have the pages opened")
def test_every_page_opens_in_a_browser_without_an_error_and_asks_nothing_outside(site, admin, browse):  # noqa: F811
    async def visit(browser):
        browser.patience = 180
        await browser.call("Network.setCookie", name="session", value=admin.cookies["session"], url=site.address)
        await browser.call("Emulation.setDeviceMetricsOverride", width=1500, height=4000, deviceScaleFactor=1, mobile=False)
        for page in pages():
            browser.requests.clear()
            await browser.go(f"{site.address}/superset/dashboard/{page.slug}/")
            await browser.until(READY % len(page.charts), seconds=900)
            await asyncio.sleep(1.0)
            assert await browser.run(COMPLAINTS) == [], page.slug
            raw = [w for w in await browser.run(WORDS) if re.fullmatch(r"[a-z]+_[a-z_]+", w)]
            assert raw == [], f"{page.slug} shows raw column names"
            filters = await browser.run("document.body.innerText")
            assert all(word in filters for word in ("发布", "报送周", "县（市、区）", "第2号（2020-W24）")), page.slug
            strays = [r for r in browser.requests if not r.startswith((site.address, "data:", "blob:", "about:"))]
            assert [r for r in strays if not await browser.run(REFUSED % json.dumps(r))] == [], page.slug

    browse(visit)


# ---------------------------------------------------------------- a county's reader


@pytest.fixture(scope="module")
def reader(site):
    """A county's reader, made by the command, logged in; with the county's code."""
    environment = os.environ | {"WAREHOUSE_HOME": str(site.settings.home)}
    done = subprocess.run([str(Path(sys.executable).with_name("warehouse")), "bi-user", "xian", "--county", "451026", "--json"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["county"] == "451026"
    return site.login("xian", made["password"])


def test_a_countys_reader_sees_its_own_rows_in_every_dataset(site, reader, admin):
    ids = site.ids(reader, "dataset")
    seen = 0
    for dataset in datasets().values():
        if "county_code" not in dataset.columns:
            continue

        def codes(session, dataset=dataset, **more):
            return {r["county_code"] for r in site.ask(session, ids[dataset.uuid], columns=["county_code"], **more).json()["result"][0]["data"]}

        everybody, own = codes(admin), codes(reader)
        assert own <= {"451026"}, dataset.key
        assert not own or "451026" in everybody
        tricked = site.ask(reader, ids[dataset.uuid], columns=["county_code"], extras={"where": "county_code = '451002') or (1 = 1"})
        rows = tricked.json()["result"][0].get("data") if tricked.ok else []
        assert {r["county_code"] for r in rows or []} <= {"451026"}, dataset.key
        seen += bool(own)
    assert seen >= 20


def test_a_countys_reader_sees_its_own_figures_in_the_charts(site, reader, connection):
    ids = site.ids(reader, "chart")
    by_county = next(c for p in pages() if p.slug == "employment" for c in p.charts if c.title == "各县外出务工占2019年比例")
    (row,) = reader.get(f"{site.address}/api/v1/chart/{ids[by_county.uuid]}/data/", timeout=120).json()["result"][0]["data"]
    figure = metric(connection, "rate_of_2019", week="2020-W24", county="451026")
    assert row["county_label"] == "那坡县" and abs(Decimal(str(row[by_county.measures[0].label])) - figure.value) < Decimal("1e-6")


def test_a_countys_reader_is_refused_sql_and_administration(site, reader, admin):
    database_id = admin.get(f"{site.address}/api/v1/database/", timeout=60).json()["result"][0]["id"]
    asked = {"database_id": database_id, "sql": "select * from marts.fct_employment_weekly", "schema": "marts", "runAsync": False, "client_id": "abcdefghijk"}
    assert admin.post(f"{site.address}/api/v1/sqllab/execute/", json=asked, timeout=60).ok  # the same for somebody who may
    assert reader.post(f"{site.address}/api/v1/sqllab/execute/", json=asked | {"client_id": "bbcdefghijk"}, timeout=60).status_code in (401, 403)
    assert reader.get(f"{site.address}/sqllab/", timeout=60, allow_redirects=False).status_code in (302, 401, 403)
    assert reader.get(f"{site.address}/api/v1/security/users/", timeout=60).status_code in (401, 403)
    assert reader.get(f"{site.address}/api/v1/rowlevelsecurity/", timeout=60).status_code in (401, 403)
    dataset = site.ids(admin, "dataset")[datasets()["employment_overview"].uuid]
    assert reader.put(f"{site.address}/api/v1/dataset/{dataset}", json={"sql": "select 1"}, timeout=60).status_code in (401, 403)


def test_a_stranger_sees_nothing(site):
    assert requests.get(f"{site.address}/superset/dashboard/employment/", timeout=60, allow_redirects=False).status_code in (302, 401, 403)
    assert requests.get(f"{site.address}/api/v1/chart/", timeout=60).json().get("count", 0) == 0
    answer = requests.post(f"{site.address}/api/v1/security/login", json={"username": "admin", "password": "admin", "provider": "db"}, timeout=60)
    assert answer.status_code == 401


# ---------------------------------------------------------------- and stopped


def test_ctrl_c_stops_everything_and_a_second_start_brings_the_same_pages(site):
    site.process.send_signal(signal.SIGINT)
    assert site.process.wait(120) == 0, site.log.read_text()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{site.address}/health", timeout=5)
    assert not EmbeddedServer(site.settings).running()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database.url(site.settings))
    again = start(site.settings, site.log.parent)
    try:
        assert len(again.ids(again.admin, "dashboard")) == len(pages())
        assert len(again.ids(again.admin, "chart")) == sum(len(p.charts) for p in pages())
    finally:
        again.process.send_signal(signal.SIGTERM)
        assert again.process.wait(120) == 0
    assert not EmbeddedServer(site.settings).running()
