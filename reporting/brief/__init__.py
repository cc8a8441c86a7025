"""The report that writes itself (工作情况汇报, 周报, 影响分析报告): `write_brief` is `warehouse brief`."""

from __future__ import annotations

import copy
import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import yaml

from reporting.brief import comparison, docx_file, html_page, markdown
from reporting.brief.composer import Composer, base_words
from reporting.brief.difficulties import LISTS
from reporting.brief.elements import Element, Heading, Paragraph, Report, Run
from reporting.brief.period import KINDS, Period, chinese_date, period
from reporting.brief.writing import numeral
from reporting.metrics import expected_counties, reading
from warehouse.settings import Settings, WarehouseError

OUTLINE = Path(__file__).with_name("outline.yaml")


@dataclass(frozen=True)
class Written:
    """What was written, and which text blocks people still owe."""

    docx: Path
    html: Path
    publication: int
    week: str
    figures: int
    to_write: tuple[str, ...]


def load_outline(settings: Settings) -> dict[str, Any]:
    """The outline, with the keys that the home's own file replaces. Raises WarehouseError where that one is no mapping."""
    outline = yaml.safe_load(OUTLINE.read_text(encoding="utf-8"))
    own = settings.home / "brief" / "outline.yaml"
    if own.exists():
        given = yaml.safe_load(own.read_text(encoding="utf-8"))
        if not isinstance(given, dict):
            raise WarehouseError(f"{own} must be a mapping with `city` or `reports`.")
        for key, value in given.items():
            outline[key] = {**outline.get(key, {}), **value} if isinstance(value, dict) else value
    return outline


def write_brief(
    connection: psycopg.Connection, settings: Settings, *, report: str = "work", publication: int | None = None, week: str | None = None,
    kind: str = "half-year", county: str | None = None, out: Path | None = None,
) -> Written:  # fmt: skip
    """Write a report as .docx and .html from one publication.

    ``week``: the last week it speaks of (default: the publication's, or, with a week and no publication, the newest
    publication that holds it); ``kind``: week, month, quarter or half-year. Raises WarehouseError for an unknown
    publication, week or county, and NoAddress where a figure could not be traced.
    """
    made = compose(connection, settings, report=report, publication=publication, week=week, kind=kind, county=county)
    told, composer = made
    slug = "-".join(filter(None, (report, composer.period.slug, county, f"p{composer.publication}")))
    folder = out or settings.reports / "brief" / slug
    folder.mkdir(parents=True, exist_ok=True)
    docx, html = folder / f"{told.title}.docx", folder / f"{told.title}.html"
    docx_file.write(told, docx)
    html.write_text(html_page.page(told), encoding="utf-8")
    record = {
        "report": report, "period_kind": composer.period.kind, "county": county, "publication": composer.publication, "week": composer.period.week,
        "figures": {n: None if v is None else str(v) for n, v in composer.figures.items()},
        "sources": [{"number": s.number, "label": s.label, "value": s.value, "query": s.address.query, "trace": s.address.commands()} for s in told.sources],
    }  # fmt: skip
    text = json.dumps(record, ensure_ascii=False, indent=1)
    (folder / "figures.json").write_text(text, encoding="utf-8")
    if out:  # the next report compares with it, wherever this one was put
        kept = settings.reports / "brief" / slug
        kept.mkdir(parents=True, exist_ok=True)
        (kept / "figures.json").write_text(text, encoding="utf-8")
    return Written(docx, html, composer.publication, composer.period.week, len(told.sources), tuple(told.to_write))


def compose(
    connection: psycopg.Connection, settings: Settings, *, report: str, publication: int | None, week: str | None, kind: str, county: str | None
) -> tuple[Report, Composer]:
    """The report's content, and what its figures came from."""
    outline = load_outline(settings)
    if report not in outline["reports"]:
        raise WarehouseError(f"There is no report {report!r}; the outline knows {', '.join(outline['reports'])}.")
    number, week = _which(connection, publication, week)
    span = period(kind, week)
    if county and county not in expected_counties("EMP01", week):
        raise WarehouseError(f"There is no county {county} in week {week}.")
    with reading(connection, number):
        words = base_words(outline["city"], span, county, number) | {"issue": str(_issue(connection, week))}
        composer = Composer(connection, number, span, county, words)
        about = outline["reports"][report]
        headline = _plain(composer, about["titles"][kind])
        body, to_write = _body(composer, settings, about["sections"])
        before = comparison.earlier(connection, settings.reports / "brief", report, span, county, number)
        compared = comparison.elements(composer, before, about.get("compare", ()))
        published = connection.execute("select published_at from store.publication where publication_id = %s", [number]).fetchone()[0]
    day: dt.date = published.astimezone(settings.timezone).date()
    subtitle = _plain(composer, about.get("subtitle", "")) or (f"（{span.label}）" if kind == "week" else "")
    about_text = f"数据取自第{number}号发布（{chinese_date(day)}），统计截至{chinese_date(span.as_of)}（{week}）。上标为数据来源编号，见附件；※表示该数含沿用往期数或不完整，见附件说明。"
    signed = outline["city"]["office"]
    return Report(headline, subtitle, about_text, body, (signed, chinese_date(day)), composer.sources, compared, to_write), composer


def _plain(composer: Composer, text: str) -> str:
    return "".join(r.text for r in composer.fill(text))


def _which(connection: psycopg.Connection, publication: int | None, week: str | None) -> tuple[int, str]:
    if publication is None and week is not None:
        publication = connection.execute("select max(publication_id) from store.publication where week = %s", [week]).fetchone()[0]
    with reading(connection, publication) as number:
        (last,) = connection.execute("select week from store.publication where publication_id = %s", [number]).fetchone()
        week = week or last
        if not connection.execute("select 1 from marts.dim_week where week = %s", [week]).fetchone():
            raise WarehouseError(f"Publication {number} does not hold week {week}; its newest is {last}.")
    return number, week


def _issue(connection: psycopg.Connection, week: str) -> int:
    """The number of a weekly report: which week of the year's reported ones it is."""
    query = "select count(distinct week) from marts.fct_epidemic_impact_weekly where week <= %s and left(week, 4) = left(%s, 4)"
    return max(connection.execute(query, [week, week]).fetchone()[0], 1)


# ---------------------------------------------------------------- sections


def _body(composer: Composer, settings: Settings, sections: list[dict]) -> tuple[list[Element], list[str]]:
    texts = settings.home / "texts" / composer.period.slug
    found: list[Element] = []
    to_write: list[str] = []
    number = 0
    for section in sections:
        if not _wanted(composer, section) or ("needs_file" in section and not (texts / f"{section['needs_file']}.md").exists()):
            if _wanted(composer, section) and "needs_file" in section:
                to_write.append(str(texts / f"{section['needs_file']}.md"))
            continue
        own: list[Element] = []
        second = 0
        for block in section["blocks"]:
            if not _wanted(composer, block):
                continue
            content = _block(composer, texts, block, to_write)
            if content and "heading" in block:
                second += 1
                own.append(Heading(2, f"（{numeral(second)}）{block['heading']}"))
            own += content
        if own:
            number += 1
            found += [Heading(1, f"{numeral(number)}、{section['heading']}"), *own]
    return found, to_write


def _wanted(composer: Composer, about: dict) -> bool:
    if composer.period.kind not in about.get("kinds", KINDS) or (about.get("city") and composer.county):
        return False
    return not about.get("not_exited") or not composer.county or composer.county in expected_counties("EXI01", composer.period.week)


def _block(composer: Composer, texts: Path, block: dict, to_write: list[str]) -> list[Element]:
    found: list[Element] = []
    if "text" in block:
        found.append(Paragraph(tuple(composer.fill("".join(block["text"].split())))))
    if "table" in block:
        about = copy.deepcopy(block["table"])
        found += composer.table(about["title"], about["by"], about["metrics"], about.get("of"))
    if "list" in block:
        found += LISTS[block["list"]](composer)
    if "file" in block:
        path = texts / f"{block['file']}.md"
        if path.exists():
            found += markdown.elements(path.read_text(encoding="utf-8-sig"), composer.fill)
        else:
            to_write.append(str(path))
            if block.get("fill"):
                found.append(Paragraph((Run(f"（此处由人工撰写：请将文稿存为 texts/{composer.period.slug}/{block['file']}.md 后重新生成）"),), "fill"))
    return found


__all__ = ["OUTLINE", "Period", "Written", "compose", "load_outline", "write_brief"]
