"""What every page is made with: templates and their words, addresses of numbered pages, and how punctual who was."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import psycopg

from ingestion.contracts import contracts
from reporting.site import charts, data, figures
from reporting.site.data import Facts
from warehouse.dbt_sources import forms_of_marts
from warehouse.settings import Settings

HERE = Path(__file__).parent
WEEKS_ACROSS = 26
MAP_COUNTIES = 120  # rows of a map of counties; more go on in numbered pages


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


def paged(rows: list, size: int) -> Iterator[tuple[int, int, list]]:
    """(page, pages, rows); one empty page for an empty list."""
    pages = max(1, math.ceil(len(rows) / size))
    for number in range(1, pages + 1):
        yield number, pages, rows[(number - 1) * size : number * size]


def numbered(base: str, number: int) -> str:
    return f"{base}.html" if number == 1 else f"{base}-{number}.html"


def _zh_of(form: str, field: str) -> str:
    return contracts().form(form).by_name[field].zh


def _trend_of(headline: figures.Headline, weeks: list[str]) -> list[float | None]:
    values = (headline.figure(week, None, 0) for week in weeks)
    return [None if v is None else float(v) for v in values]
