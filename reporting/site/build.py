"""Render every page into a new folder and put it in place of the old one."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jinja2
import psycopg
from psycopg import sql

from ingestion.contracts import contracts
from reporting.site import addresses, charts, dashboards, data, figures, span
from reporting.site.data import Facts
from warehouse.dbt_sources import forms_of_marts
from warehouse.roles import AUDITOR, as_role
from warehouse.settings import Settings

HERE = Path(__file__).parent
PAGE_ROWS = 250  # findings a page; long lists go on in numbered pages
SUBMISSION_ROWS = 600
REVISION_ROWS = 500
REVISIONS_SHOWN = 60  # on the page of a publication itself
CHUNK_BYTES = 700_000  # of a script file with findings
WEEKS_ACROSS = 26
MAP_COUNTIES = 120  # rows of a map of counties; more go on in numbered pages
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
        site.write()
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


class Site:
    def __init__(self, connection: psycopg.Connection, settings: Settings, facts: Facts, published: list[figures.Headline], carried: list[dict], root: Path):
        self.connection, self.settings, self.facts, self.root, self.count = connection, settings, facts, root, 0
        self.published, self.carried = published, carried
        self.standing, self.first_publication, self.stood = settings.reports / "quality", 1, 0  # the pages there are; the ledger's first line to write
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
            extensions=["jinja2.ext.loopcontrols"],
        )
        environment.globals |= {
            "facts": facts, "STATUS": data.STATUS, "SIGN": data.SIGN, "RESULT": data.RESULT, "RESULT_SIGN": data.RESULT_SIGN,
            "SEVERITY": data.SEVERITY, "FINDING_STATUS": data.FINDING_STATUS, "STAGE": data.STAGE, "TRIGGER": data.TRIGGER, "VERDICT": data.VERDICT,
            "LIFE": data.LIFE, "OWNER": data.OWNER, "ANOMALY": data.ANOMALY, "ANOMALY_VERDICT": data.ANOMALY_VERDICT,
            "REVISION": data.REVISION, "DECISION": data.DECISION,
            "span": data.week_span, "developer": self.developer_pages(), "forms_zh": {f.code: f.zh for f in facts.forms}, "shown": figures.shown,
            "forms_of": defaultdict(str, forms_of_marts()), "short": {f.code: re.sub("(周报表|台账|进展表|明细表)$", "", f.zh) for f in facts.forms}, "published": published, "sparkline": charts.sparkline, "trend_of": _trend_of, "zh_of": _zh_of,
        }  # fmt: skip
        environment.filters |= {"number": lambda n: f"{n:,}", "time": lambda t: f"{t:%Y-%m-%d %H:%M}" if t else "", "percent": lambda v: "—" if v is None else f"{v * 100:.1f}%"}
        self.environment = environment
        self.by_slice = Counter((f["week"], f["county"], f["form"]) for f in facts.findings if f["status"] == "open")

    def page(self, path: str, template: str, **values: Any) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        root = "../" * path.count("/")
        target.write_text(self.environment.get_template(template).render(root=root, path=path, **values), encoding="utf-8")
        self.count += 1

    def developer_pages(self) -> list[tuple[str, str]]:
        """Data Docs and dbt docs where they exist: (title, address relative to the pages' root)."""
        found = []
        for title, pattern in (("Data Docs（Great Expectations）", "data_docs"), ("dbt docs", "dbt*")):
            pages = sorted(self.settings.reports.glob(f"{pattern}/**/index.html"), key=lambda p: len(p.parts))
            if pages:
                found.append((title, "../" + pages[0].relative_to(self.settings.reports).as_posix()))
        return found

    def write(self) -> None:
        shutil.copytree(HERE / "assets", self.root / "assets")
        if not self.facts.week:
            self.page("index.html", "empty.html", title="尚无数据", home=self.settings.home)
            return
        self.counties()
        self.rules()
        self.finder()
        self.ledger()
        self.weeks()
        self.stars()
        self.charts()
        self.page("anomalies.html", "anomalies.html", title="异常数字", weeks=self.anomaly_weeks())
        self.page("index.html", "index.html", title="概览", codes=list(self.facts.counties)[:MAP_COUNTIES], **self.week_view(self.facts.week), carried=self.carried_groups(), trend=self.trend(), change=self.change())

    # -- weeks --------------------------------------------------------------------------------------

    def week_view(self, week: str) -> dict[str, Any]:
        """What a page about one week shows: counts, the map of counties and forms, findings by rule."""
        facts = self.facts
        mine = [f for f in facts.findings if f["week"] == week]
        by_rule = Counter(f["rule_id"] for f in mine if f["status"] == "open")
        top = [(facts.rules[r], n) for r, n in by_rule.most_common() if r in facts.rules]
        top.sort(key=lambda pair: (pair[0]["severity"] != "error", -pair[1], pair[0]["id"]))
        counts = data.county_status(facts, week)
        rows = [sum(facts.rows.get((week, c), (0, 0, 0))[k] for c in facts.counties) for k in range(3)]
        return {
            "week": week,
            "counts": counts,
            "owed": sum(counts.values()),
            "rate": self.rate(week),
            "county_rate": {c: self.rate(week, c) for c in facts.counties},
            "cells": self.cells(week),
            "open_by_county": Counter(f["county"] for f in mine if f["status"] == "open"),
            "severity": Counter(f["severity"] for f in mine if f["status"] == "open"),
            "finding_life": Counter(f["life"] for f in mine),
            "found_as": Counter(f["found_as"] for f in mine if f["life"] != "waived"),
            "top": top,
            "rows_of_week": rows,
        }

    def cells(self, week: str) -> dict[tuple[str, str], tuple[str, int]]:
        """(county, form) → status, open findings."""
        found = {}
        for county in self.facts.counties:
            for form in self.facts.forms:
                status = self.facts.status.get((week, county, form.code))
                if status:
                    found[county, form.code] = (status.status, self.by_slice[week, county, form.code])
        return found

    def rate(self, week: str, county: str | None = None, form: str | None = None) -> float | None:
        """Share of the forms due that came in time; what is not due yet is left out. None where nothing is due."""
        due = self._due.get((week, county, form))
        return due[1] / due[0] if due else None

    @property
    def _due(self) -> dict[tuple, list[int]]:
        if not hasattr(self, "_due_counts"):
            counts: dict[tuple, list[int]] = {}
            for (week, county, form), status in self.facts.status.items():
                if status.status == "expected":
                    continue
                for key in ((week, None, None), (week, county, None), (None, county, None), (week, None, form)):
                    pair = counts.setdefault(key, [0, 0])
                    pair[0] += 1
                    pair[1] += status.punctual
            self._due_counts = counts
        return self._due_counts

    def trend(self) -> dict[str, Any]:
        weeks = self.facts.weeks[-53:]
        found: Counter = Counter((f["week"], f["severity"]) for f in self.facts.findings)
        rates = [(w, self.rate(w), f"{w}：准时率 {self.rate(w) * 100:.1f}%" if self.rate(w) is not None else w) for w in weeks]
        bars = [(w, [found[w, "error"], found[w, "warning"]], f"{w}：错误 {found[w, 'error']}，提醒 {found[w, 'warning']}") for w in weeks]
        return {
            "rate": charts.rate_line(rates, "各周准时率", self.facts.week),
            "findings": charts.stacked_bars(bars, ["bar-error", "bar-warning"], "各周问题数", "处"),
        }

    def county_trend(self, county: str) -> dict[str, Any]:
        weeks = self.facts.weeks[-WEEKS_ACROSS:]
        found: Counter = Counter((f["week"], f["severity"]) for f in self.facts.findings if f["county"] == county)
        shares = ((w, self.rate(w, county)) for w in weeks)
        rates = [(w, r, f"{w}：准时率 {r * 100:.1f}%" if r is not None else w) for w, r in shares]
        bars = [(w, [found[w, "error"], found[w, "warning"]], f"{w}：错误 {found[w, 'error']}，提醒 {found[w, 'warning']}") for w in weeks]
        return {"rate": charts.rate_line(rates, "各周准时率", self.facts.week), "findings": charts.stacked_bars(bars, ["bar-error", "bar-warning"], "各周问题数", "处")}

    def weeks(self) -> None:
        rows = []
        for week in reversed(self.facts.weeks):
            view = self.week_view(week)
            rows.append(view)
            for number, pages, codes in _paged(list(self.facts.counties), MAP_COUNTIES):
                self.page(_numbered(f"weeks/{week}", number), "week.html", title=week, codes=codes, number=number, pages=pages, base=week, **view)
        run, standing = self.facts.run, {p["publication_id"]: p["submissions"] for p in self.facts.publications}
        earlier = span.keep(self.standing, self.root, {"check_run": run["check_run_id"] if run else 0, "standing": standing})
        self.page("weeks.html", "weeks.html", title="各周", rows=rows, trend=self.trend(), earlier=earlier)

    def change(self) -> dict[str, int] | None:
        """The week's findings against the weeks before: new, persisting, reopened, and what is gone. None in the first week."""
        if len(self.facts.weeks) < 2:
            return None
        mine = Counter(f["found_as"] for f in self.facts.findings if f["week"] == self.facts.week and f["life"] != "waived")
        return {
            "new": mine["new"], "persisting": mine["persisting"], "reopened": mine["reopened"],
            "resolved": sum(f["resolved_week"] == self.facts.week for f in self.facts.findings),
            "waived": sum(f["life"] == "waived" for f in self.facts.findings if f["week"] == self.facts.week),
        }  # fmt: skip

    def anomaly_weeks(self) -> list[tuple[str, list[dict]]]:
        """Anomalies week by week, the newest first; in each those that wait for a verdict before those that have one."""
        by_week: dict[str, list[dict]] = {}
        for one in self.facts.anomalies:
            by_week.setdefault(one["week"], []).append(one)
        return sorted(by_week.items(), reverse=True)

    def carried_groups(self) -> list[dict[str, Any]]:
        """Carried slices, a line for each county and week they are from."""
        groups: dict[tuple[str, str], list[str]] = {}
        for one in self.carried:
            groups.setdefault((one["county"], one["from_week"]), []).append(one["form"])
        return [{"county": c, "from_week": w, "forms": forms} for (c, w), forms in sorted(groups.items(), key=lambda g: (g[0][1], g[0][0]))]

    # -- counties, rules, findings ------------------------------------------------------------------

    def counties(self) -> None:
        across = self.facts.weeks[-WEEKS_ACROSS:]
        by_county: dict[str, list[dict]] = {c: [] for c in self.facts.counties}
        for finding in self.facts.findings:
            by_county.setdefault(finding["county"], []).append(finding)
        summary, style = [], (HERE / "assets/style.css").read_text(encoding="utf-8")  # a county's page is sent by mail, and keeps its looks
        for county, name in self.facts.counties.items():
            mine = by_county[county]
            statuses = Counter(s.status for (_, c, _), s in self.facts.status.items() if c == county)
            cells = {(w, f): (s.status, self.by_slice[w, county, f]) for (w, c, f), s in self.facts.status.items() if c == county and w in across}
            about = {"code": county, "name": name, "statuses": statuses, "rate": self.rate(None, county), "open": Counter(f["severity"] for f in mine if f["status"] == "open"), "all": len(mine)}
            summary.append(about)
            for number, pages, rows in _paged(_to_mend_first(mine), PAGE_ROWS):
                self.page(
                    _numbered(f"counties/{county}", number), "county.html", title=name, about=about, across=across, cells=cells, rows=rows, number=number, pages=pages,
                    base=county, trend=self.county_trend(county), style=style, anomalies=[a for a in self.facts.anomalies if a["county_code"] == county and a["standing"]],
                    waivers=[w for w in self.facts.waivers if w["county_code"] == county and w["in_force"]],
                )  # fmt: skip
        self.page("counties.html", "counties.html", title="各县", rows=summary, across=across)

    def rules(self) -> None:
        across = self.facts.weeks[-WEEKS_ACROSS:]
        by_rule: dict[str, list[dict]] = {}
        for finding in self.facts.findings:
            by_rule.setdefault(finding["rule_id"], []).append(finding)
        table = []
        for rule_id, rule in self.facts.rules.items():
            mine, counts = by_rule.get(rule_id, []), self.facts.result_counts.get(rule_id, Counter())
            judged = sum(counts[s] for s in ("pass", "pass_with_violations", "fail"))
            about = rule | {"counts": counts, "judged": judged, "pass_rate": counts["pass"] / judged if judged else None, "all": len(mine)}
            about["waivers"] = [w for w in self.facts.waivers if w["rule_id"] == rule_id]
            table.append(about)
            results = self.facts.results.get(rule_id, {})
            troubled = {c for (_, c), s in results.items() if s in ("fail", "pass_with_violations", "error")}
            codes = sorted(self.facts.counties, key=lambda c, t=troubled: (len(self.facts.counties) > MAP_COUNTIES and c not in t, c))[:MAP_COUNTIES]
            for number, pages, rows in _paged(_open_first(mine), PAGE_ROWS):
                self.page(_numbered(f"rules/{rule_id}", number), "rule.html", title=rule_id, about=about, across=across, results=results, codes=codes, rows=rows, number=number, pages=pages, base=rule_id)
        self.page("rules.html", "rules.html", title="规则", rows=table)

    def finder(self) -> None:
        chunks = []
        by_week: dict[str, list[dict]] = {}
        for finding in self.facts.findings:
            by_week.setdefault(finding["week"], []).append(finding)
        for week, rows in sorted(by_week.items(), reverse=True):
            for number, part in enumerate(_chunks([_brief(f) for f in rows]), 1):
                file = f"data/{week or 'none'}-{number}.js"
                (self.root / "data").mkdir(exist_ok=True)
                (self.root / file).write_text(f"addFindings([{part}]);\n", encoding="utf-8")
                chunks.append({"week": week, "file": file})
        facts = self.facts
        meta = {
            "chunks": chunks,
            "counties": facts.counties,
            "forms": {f.code: f.zh for f in facts.forms},
            "rules": {r: about["zh"] for r, about in facts.rules.items()},
            "mend": {r: about["mend"] for r, about in facts.rules.items()},
            "severities": data.SEVERITY,
            "statuses": data.FINDING_STATUS,
            "lives": data.LIFE,
            "owners": data.OWNER,
        }
        used = sorted({f["rule_id"] for f in facts.findings})
        self.page("findings.html", "findings.html", title="问题", meta=meta, used=used, weeks=sorted(by_week, reverse=True))

    # -- publications -------------------------------------------------------------------------------

    def ledger(self) -> None:
        marts = self.mart_changes()
        opened, closed = self.submission_changes()
        standing = self.stood
        for publication in self.facts.publications:
            number = publication["publication_id"]
            standing += len(opened.get(number, [])) - len(closed.get(number, []))
            publication["submissions"], publication["opened"], publication["closed"] = standing, len(opened.get(number, [])), len(closed.get(number, []))
            lines = [("纳入", *s) for s in opened.get(number, [])] + [("移出", *s) for s in closed.get(number, [])]
            for page, pages, rows in _paged(lines, SUBMISSION_ROWS):
                self.page(
                    _numbered(f"publications/{number}", page), "publication.html", title=f"第 {number} 号发布", p=publication, marts=marts.get(number, []), rows=rows,
                    number=page, pages=pages, base=str(number), revisions=self.facts.revisions.get(number, []), shown_revisions=REVISIONS_SHOWN,
                    approval=self.facts.approvals.get(publication["check_run_id"]),
                )  # fmt: skip
            self.revision_pages(publication)
        self.page("publications.html", "publications.html", title="发布台账", rows=list(reversed(self.facts.publications)))

    def revision_pages(self, publication: dict[str, Any]) -> None:
        """All of a publication's revisions, where its own page does not hold them."""
        revisions, number = self.facts.revisions.get(publication["publication_id"], []), publication["publication_id"]
        publication["revised"] = len(revisions)
        if len(revisions) > REVISIONS_SHOWN:
            for page, pages, rows in _paged(revisions, REVISION_ROWS):
                self.page(_numbered(f"publications/{number}-revisions", page), "revisions.html", title=f"第 {number} 号发布的修订", p=publication, rows=rows, count=len(revisions), number=page, pages=pages)

    def mart_changes(self) -> dict[int, list[tuple[str, str, int, int]]]:
        """By publication: mart, week ('' where a mart has none), row versions opened and closed."""
        tables: dict[str, set[str]] = {}
        for table, column in self.connection.execute("select table_name, column_name from information_schema.columns where table_schema = 'store'"):
            tables.setdefault(table, set()).add(column)
        changes: dict[int, list] = {}
        for table in sorted(t for t, c in tables.items() if {"opened_in", "closed_in"} <= c and t != "publication_submission"):
            week = sql.SQL("week") if "week" in tables[table] else sql.SQL("''")
            query = sql.SQL(
                """select n, week, sum(opened), sum(closed) from (
                     select opened_in as n, {week} as week, count(*) as opened, 0 as closed from store.{table} where opened_in >= {first} group by 1, 2
                     union all select closed_in, {week}, 0, count(*) from store.{table} where closed_in >= {first} group by 1, 2) x
                   group by 1, 2 order by 1, 2 desc"""
            ).format(week=week, table=sql.Identifier(table), first=sql.Literal(self.first_publication))
            for number, of_week, opened, closed in self.connection.execute(query):
                changes.setdefault(number, []).append((table, of_week or "", int(opened), int(closed)))
        return changes

    def submission_changes(self) -> tuple[dict[int, list], dict[int, list]]:
        opened: dict[int, list] = {}
        closed: dict[int, list] = {}
        for number, end, *about in self.connection.execute(
            """select p.opened_in, p.closed_in, s.week, s.county_code, s.form, s.version, s.state, s.rows_loaded, s.submission_id, f.original_name
               from store.publication_submission p join intake.submission s using (submission_id) join intake.file f using (file_id)
               where p.opened_in >= %(first)s or p.closed_in >= %(first)s
               order by s.week desc, s.county_code, s.form""",
            {"first": self.first_publication},
        ):
            if number >= self.first_publication:
                opened.setdefault(number, []).append(about)
            if end is not None:
                closed.setdefault(end, []).append(about)
        return opened, closed

    # -- the dashboards' charts ---------------------------------------------------------------------

    def charts(self) -> None:
        """A page for each page of the dashboards, and one that lists them."""
        drawn, week = [], (self.facts.publication or {}).get("week")
        if week:
            known = dashboards.Figures(self.connection, week, [w for w in self.facts.weeks if w <= week])
            for page in dashboards.pages():
                found = [d for chart in page["charts"] if (d := known.draw(chart)) is not None]
                if found:
                    drawn.append(page | {"charts": found, "carried": sorted({pair for d in found for pair in d.carried})})
        sources = {h.form for h in self.published}
        for page in drawn:
            self.page(f"charts/{page['slug']}.html", "chart_page.html", title=page["title"], page=page, pages=drawn, week=week, sources=sources)
        self.page("charts.html", "charts.html", title="图表", pages=drawn, week=week)

    # -- figures of the marts -----------------------------------------------------------------------

    def stars(self) -> None:
        publication = self.facts.publication
        found = addresses.load_addresses(self.connection, self.published, publication["week"]) if publication else {}
        for headline in self.published:
            weeks = sorted({w for w, _ in headline.totals})
            lines = [(m, _line(headline, weeks[-WEEKS_ACROSS:], n)) for n, m in enumerate(headline.measures)] if headline.weekly and len(weeks) > 1 else []
            self.page(f"figures/{headline.form}.html", "star.html", title=headline.zh, h=headline, week=publication["week"], weeks=weeks[-WEEKS_ACROSS:], lines=lines)
            sources = found.get(headline.form, {})
            self.page(f"figures/{headline.form}-sources.html", "sources.html", title=f"{headline.zh}：来处", h=headline, week=publication["week"], sources=sources, commands=addresses.commands)


def _brief(finding: dict) -> dict[str, Any]:
    place = "　".join(p for p in (finding["row_zh"], finding["field_zh"], _cell(finding)) if p)
    return {
        "n": finding["finding_id"], "w": finding["week"], "c": finding["county"], "f": finding["form"], "r": finding["rule_id"], "s": finding["severity"],
        "t": finding["status"], "p": place, "m": finding["message_zh"], "v": finding["value"], "e": finding["expected"], "d": finding["difference"],
        "l": finding["life"], "i": finding["since_week"], "z": finding["resolved_week"], "o": finding["owner"],
    }  # fmt: skip


def _cell(finding: dict) -> str:
    """The cell, with its sheet or file where that isn't simply named after the form."""
    sheet = "" if finding["sheet"] == finding["form_zh"] else finding["sheet"] or finding["file"]
    return f"{sheet}!{finding['cell']}" if finding["cell"] and sheet else finding["cell"] or sheet


def _open_first(findings: list[dict]) -> list[dict]:
    return sorted(findings, key=lambda f: f["status"] != "open")


def _to_mend_first(findings: list[dict]) -> list[dict]:
    """A county's list: what is open now, then what was already so in earlier weeks (``repeats`` names the newest), then the rest."""
    newest: dict[tuple, str] = {}
    for finding in sorted(findings, key=lambda f: f["week"], reverse=True):
        place = tuple(finding[k] for k in ("rule_id", "form", "row_key", "field", "stage"))
        finding["repeats"] = newest.get(place, "") if finding["status"] == "open" and finding["life"] == "persisting" else ""
        if finding["status"] == "open":
            newest.setdefault(place, finding["week"])
    return sorted(findings, key=lambda f: (f["status"] != "open", bool(f["repeats"])))


def _paged(rows: list, size: int) -> Iterator[tuple[int, int, list]]:
    """(page, pages, rows); one empty page for an empty list."""
    pages = max(1, math.ceil(len(rows) / size))
    for number in range(1, pages + 1):
        yield number, pages, rows[(number - 1) * size : number * size]


def _numbered(base: str, number: int) -> str:
    return f"{base}.html" if number == 1 else f"{base}-{number}.html"


def _chunks(rows: list[dict]) -> Iterator[str]:
    """JSON objects in comma-separated runs of bounded size."""
    part: list[str] = []
    size = 0
    for row in rows:
        text = json.dumps(row, ensure_ascii=False, separators=(",", ":")).replace("\u2028", " ").replace("\u2029", " ")
        if size + len(text.encode()) > CHUNK_BYTES and part:
            yield ",\n".join(part)
            part, size = [], 0
        part.append(text)
        size += len(text.encode())
    if part:
        yield ",\n".join(part)


def _line(headline: figures.Headline, weeks: list[str], number: int) -> Any:
    """The chart of one measure over weeks, in the unit of its newest value."""
    measure, values = headline.measures[number], [headline.figure(week, None, number) for week in weeks]
    unit = next((figures.shown(v, measure.unit)[1] for v in reversed(values) if v is not None), "")
    scale = {"%": 0.01, "万元": 10_000, "亿元": 100_000_000}.get(unit, 1)
    points = [(w, None if v is None else float(v) / scale, f"{w}：{''.join(figures.shown(v, measure.unit))}") for w, v in zip(weeks, values, strict=True)]
    return charts.value_line(points, f"各周{measure.zh}", unit)


def _zh_of(form: str, field: str) -> str:
    return contracts().form(form).by_name[field].zh


def _trend_of(headline: figures.Headline, weeks: list[str]) -> list[float | None]:
    values = (headline.figure(week, None, 0) for week in weeks)
    return [None if v is None else float(v) for v in values]
