"""Pages that list findings: by county, by rule, and all of them to search through."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from reporting.site import data
from reporting.site.pages import HERE, MAP_COUNTIES, WEEKS_ACROSS, Site, numbered, paged
from reporting.site.week_pages import county_trend

PAGE_ROWS = 250  # findings a page; long lists go on in numbered pages
CHUNK_BYTES = 700_000  # of a script file with findings


def write_counties(site: Site) -> None:
    across = site.facts.weeks[-WEEKS_ACROSS:]
    findings = _grouped(site.facts.findings, "county")  # everything is gone through once, not once a county
    anomalies = _grouped((a for a in site.facts.anomalies if a["standing"]), "county_code")
    waivers = _grouped((w for w in site.facts.waivers if w["in_force"]), "county_code")
    states: dict[str, dict[tuple[str, str], str]] = defaultdict(dict)
    for (week, county, form), status in site.facts.status.items():
        states[county][week, form] = status.status
    summary, style = [], (HERE / "assets/style.css").read_text(encoding="utf-8")  # a county's page is sent by mail, and keeps its looks
    for county, name in site.facts.counties.items():
        mine = findings[county]
        statuses = Counter(states[county].values())
        cells = {(w, f): (s, site.by_slice[w, county, f]) for (w, f), s in states[county].items() if w in across}
        about = {"code": county, "name": name, "statuses": statuses, "rate": site.rate(None, county), "open": Counter(f["severity"] for f in mine if f["status"] == "open"), "all": len(mine)}
        summary.append(about)
        for number, pages, rows in paged(_to_mend_first(mine), PAGE_ROWS):
            site.page(
                numbered(f"counties/{county}", number), "county.html", title=name, about=about, across=across, cells=cells, rows=rows, number=number, pages=pages,
                base=county, trend=county_trend(site, county, mine), style=style, anomalies=anomalies[county], waivers=waivers[county],
            )  # fmt: skip
    site.page("counties.html", "counties.html", title="各县", rows=summary, across=across)


def _grouped(records: Iterable[dict], column: str) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = defaultdict(list)
    for one in records:
        found[one[column]].append(one)
    return found


def write_rules(site: Site) -> None:
    across = site.facts.weeks[-WEEKS_ACROSS:]
    findings, waivers = _grouped(site.facts.findings, "rule_id"), _grouped(site.facts.waivers, "rule_id")
    table = []
    for rule_id, rule in site.facts.rules.items():
        mine, counts = findings[rule_id], site.facts.result_counts.get(rule_id, Counter())
        judged = sum(counts[s] for s in ("pass", "pass_with_violations", "fail"))
        about = rule | {"counts": counts, "judged": judged, "pass_rate": counts["pass"] / judged if judged else None, "all": len(mine)}
        about["waivers"] = waivers[rule_id]
        table.append(about)
        results = site.facts.results.get(rule_id, {})
        troubled = {c for (_, c), s in results.items() if s in ("fail", "pass_with_violations", "error")}
        codes = sorted(site.facts.counties, key=lambda c, t=troubled: (len(site.facts.counties) > MAP_COUNTIES and c not in t, c))[:MAP_COUNTIES]
        for number, pages, rows in paged(_open_first(mine), PAGE_ROWS):
            site.page(numbered(f"rules/{rule_id}", number), "rule.html", title=rule_id, about=about, across=across, results=results, codes=codes, rows=rows, number=number, pages=pages, base=rule_id)
    site.page("rules.html", "rules.html", title="规则", rows=table)


def write_finder(site: Site) -> None:
    chunks = []
    by_week = _grouped(site.facts.findings, "week")
    for week, rows in sorted(by_week.items(), reverse=True):
        for number, part in enumerate(_chunks([_brief(f) for f in rows]), 1):
            file = f"data/{week or 'none'}-{number}.js"
            (site.root / "data").mkdir(exist_ok=True)
            (site.root / file).write_text(f"addFindings([{part}]);\n", encoding="utf-8")
            chunks.append({"week": week, "file": file})
    facts = site.facts
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
    site.page("findings.html", "findings.html", title="问题", meta=meta, used=used, weeks=sorted(by_week, reverse=True))


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
