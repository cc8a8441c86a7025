"""The quality pages in a headless Chromium, opened from disk: nothing is asked of any network, search and filters work."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from reporting.site import build_site

websockets = pytest.importorskip("websockets", reason="the browser's debugging port is spoken to with websockets")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.database,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: install chromium to have the pages opened"),
]
COUNTIES = ("451002", "451003", "451022")


@pytest.fixture
def pages(connection, settings):
    """A small warehouse's pages: two weeks, three counties, 130 findings, one anomaly."""
    for number, (week, county) in enumerate(((w, c) for w in ("2020-W23", "2020-W24") for c in COUNTIES), 1):
        connection.execute("insert into quality.reporting_status values (%s, %s, 'EMP01', 'missing', now(), null, now())", [week, county])
        connection.execute(
            """insert into quality.finding (rule_id, severity, stage, county_code, week, form, message_zh, sheet, cell, row_key, field, value, expected, difference)
               select 'EMP-005', case when n = 1 then 'error' else 'warning' end, 'reading', %s, %s, 'EMP01', '第' || n || '处请核对', '表', 'C' || n, '', 'public_posts', n::text, '1', '2'
               from generate_series(1, %s) n""",
            [county, week, 20 + number],
        )
    connection.execute(
        """insert into quality.anomaly (mart, form, column_name, week, county_code, row_key, kind, score, at_stake, at_stake_unit, rank, text_zh)
           values ('fct_employment_weekly', 'EMP01', 'employed_away', '2020-W24', '451002', '451002001', 'outlier', 12, 700, 'persons', 1, '“外出务工人数”翻了一番')"""
    )
    return build_site(connection, settings).parent


class Browser:
    """One tab: opens pages, runs scripts in them, and notes every request and every complaint of the console."""

    patience = 30  # seconds without a word

    def __init__(self, socket):
        self.socket, self.number, self.requests, self.errors, self.loaded = socket, 0, [], [], 0

    async def call(self, method, **parameters):
        self.number += 1
        mine = self.number
        await self.socket.send(json.dumps({"id": mine, "method": method, "params": parameters}))
        while True:
            said = json.loads(await asyncio.wait_for(self.socket.recv(), self.patience))
            self.note(said)
            if said.get("id") == mine:
                return said.get("result", {})

    def note(self, said):
        about = said.get("params", {})
        match said.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(about["request"]["url"])
            case "Runtime.exceptionThrown":
                self.errors.append(about["exceptionDetails"]["text"])
            case "Runtime.consoleAPICalled" if about["type"] in ("error", "warning", "assert"):
                self.errors.append(str(about["args"]))
            case "Log.entryAdded" if about["entry"]["level"] in ("error", "warning"):
                self.errors.append(about["entry"]["text"])
            case "Page.loadEventFired":
                self.loaded += 1

    async def open(self, path, fragment=""):
        await self.go("about:blank")  # the same page with another fragment would not be loaded again
        await self.go(path.as_uri() + fragment)

    async def go(self, url):
        before = self.loaded
        await self.call("Page.navigate", url=url)
        while self.loaded == before:
            self.note(json.loads(await asyncio.wait_for(self.socket.recv(), self.patience)))

    async def run(self, script):
        """The value of an expression; a promise is awaited."""
        answer = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, script, seconds=10):
        for _ in range(seconds * 20):
            if await self.run(script):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"never came true: {script}")


@pytest.fixture
def browse(tmp_path):
    """Run a coroutine function with a `Browser`."""
    process = subprocess.Popen(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={tmp_path / 'profile'}", "about:blank"],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        port = next(m[1] for line in process.stderr if (m := re.search(r"DevTools listening on ws://[^:]+:(\d+)/", line)))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            address = next(t["webSocketDebuggerUrl"] for t in json.load(answer) if t["type"] == "page")

        async def visit(what):
            async with websockets.connect(address, max_size=None) as socket:
                browser = Browser(socket)
                for domain in ("Page", "Network", "Runtime", "Log"):
                    await browser.call(f"{domain}.enable")
                await what(browser)
                return browser

        yield lambda what: asyncio.run(visit(what))
    finally:
        process.terminate()
        process.wait(10)


def test_every_kind_of_page_opens_without_a_complaint_and_asks_for_nothing_outside(pages, browse):
    kinds = [*pages.glob("*.html"), pages / "weeks/2020-W24.html", pages / f"counties/{COUNTIES[0]}.html", pages / "rules/EMP-005.html"]
    assert len(kinds) >= 10

    async def visit(browser):
        for page in kinds:
            await browser.open(page)
            assert await browser.run("document.querySelector('h1').textContent.trim().length") > 0, page.name
            assert await browser.run("getComputedStyle(document.querySelector('.bar')).position") == "sticky", f"{page.name} has no style"
            assert await browser.run("document.documentElement.scrollWidth <= innerWidth"), f"{page.name} is wider than the window"

    browser = browse(visit)
    assert browser.errors == []
    asked = [Path(r.removeprefix("file://").split("#")[0]) for r in browser.requests if not r.startswith(("about:", "data:"))]
    assert len(asked) > len(kinds)
    assert [p for p in asked if not p.is_relative_to(pages)] == []


ROWS = "document.querySelectorAll('#rows tr').length"
COUNT = "Number(document.getElementById('count').textContent.match(/共 ([\\d,]+)/)?.[1])"


def choose(name, value):
    return f"(() => {{ const c = document.getElementById('filters').{name}; c.value = '{value}'; c.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"


def test_search_and_filters(pages, browse):
    async def visit(browser):
        await browser.open(pages / "findings.html")
        await browser.until(f"{COUNT} === 24 + 25 + 26")  # it opens with the newest week
        await browser.run(choose("week", ""))
        await browser.until(f"{COUNT} === 21 + 22 + 23 + 24 + 25 + 26")
        assert await browser.run(ROWS) == 100
        await browser.run("document.getElementById('more').click()")
        assert await browser.run(ROWS) == 141 and await browser.run("document.getElementById('more').hidden")
        await browser.run(choose("severity", "error"))
        await browser.until(f"{COUNT} === 6")
        await browser.run(choose("county", COUNTIES[1]))
        await browser.until(f"{COUNT} === 2")
        assert await browser.run("[...document.querySelectorAll('#rows tr')].every((r) => r.textContent.includes('田阳区'))")
        await browser.run(choose("severity", ""))
        await browser.run(choose("q", "第17处 c17"))
        await browser.until(f"{COUNT} === 2")
        await browser.run(choose("q", "没有这个词"))
        await browser.until("!document.getElementById('none').hidden")
        assert await browser.run(ROWS) == 0
        await browser.run(choose("q", ""))
        await browser.run(choose("life", "resolved"))
        await browser.until(f"{COUNT} === 0")
        await browser.run(choose("life", "new"))
        await browser.until(f"{COUNT} === 22 + 25")

    assert browse(visit).errors == []


def test_an_address_with_filters_opens_filtered(pages, browse):
    async def visit(browser):
        await browser.open(pages / "findings.html", f"#week=2020-W23&county={COUNTIES[2]}&severity=error")
        await browser.until(f"{COUNT} === 1")
        assert await browser.run("document.querySelector('#rows .life').textContent") == "新增"
        assert "县整改" in await browser.run("document.querySelector('#rows').textContent")

    browse(visit)


def test_the_map_is_walked_with_the_arrow_keys(pages, browse):
    async def visit(browser):
        await browser.open(pages / "index.html")
        press = "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: '%s', bubbles: true}))"
        await browser.run("document.querySelector('.grid-map tbody a.cell').focus()")
        before = await browser.run("document.activeElement.getAttribute('href')")
        await browser.run(press % "ArrowDown")
        after = await browser.run("document.activeElement.getAttribute('href')")
        assert (COUNTIES[0] in before, COUNTIES[1] in after) == (True, True)
        await browser.run("document.activeElement.click()")
        await browser.until(f"location.pathname.endsWith('counties/{COUNTIES[1]}.html')")

    browse(visit)
