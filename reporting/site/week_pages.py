"""Pages about weeks, and what the first page says of the newest one: counts, map, trends, anomalies, carried figures."""

from __future__ import annotations

from collections import Counter
from typing import Any

from reporting.site import charts, data, span
from reporting.site.pages import MAP_COUNTIES, WEEKS_ACROSS, Site, numbered, paged


def week_view(site: Site, week: str) -> dict[str, Any]:
    """What a page about one week shows: counts, the map of counties and forms, findings by rule."""
    facts = site.facts
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
        "rate": site.rate(week),
        "county_rate": {c: site.rate(week, c) for c in facts.counties},
        "cells": _cells(site, week),
        "open_by_county": Counter(f["county"] for f in mine if f["status"] == "open"),
        "severity": Counter(f["severity"] for f in mine if f["status"] == "open"),
        "finding_life": Counter(f["life"] for f in mine),
        "found_as": Counter(f["found_as"] for f in mine if f["life"] != "waived"),
        "top": top,
        "rows_of_week": rows,
    }


def _cells(site: Site, week: str) -> dict[tuple[str, str], tuple[str, int]]:
    """(county, form) → status, open findings."""
    found = {}
    for county in site.facts.counties:
        for form in site.facts.forms:
            status = site.facts.status.get((week, county, form.code))
            if status:
                found[county, form.code] = (status.status, site.by_slice[week, county, form.code])
    return found


def trend(site: Site) -> dict[str, Any]:
    weeks = site.facts.weeks[-53:]
    found: Counter = Counter((f["week"], f["severity"]) for f in site.facts.findings)
    rates = [(w, site.rate(w), f"{w}：准时率 {site.rate(w) * 100:.1f}%" if site.rate(w) is not None else w) for w in weeks]
    bars = [(w, [found[w, "error"], found[w, "warning"]], f"{w}：错误 {found[w, 'error']}，提醒 {found[w, 'warning']}") for w in weeks]
    return {
        "rate": charts.rate_line(rates, "各周准时率", site.facts.week),
        "findings": charts.stacked_bars(bars, ["bar-error", "bar-warning"], "各周问题数", "处"),
    }


def county_trend(site: Site, county: str, findings: list[dict]) -> dict[str, Any]:
    weeks = site.facts.weeks[-WEEKS_ACROSS:]
    found: Counter = Counter((f["week"], f["severity"]) for f in findings)
    shares = ((w, site.rate(w, county)) for w in weeks)
    rates = [(w, r, f"{w}：准时率 {r * 100:.1f}%" if r is not None else w) for w, r in shares]
    bars = [(w, [found[w, "error"], found[w, "warning"]], f"{w}：错误 {found[w, 'error']}，提醒 {found[w, 'warning']}") for w in weeks]
    return {"rate": charts.rate_line(rates, "各周准时率", site.facts.week), "findings": charts.stacked_bars(bars, ["bar-error", "bar-warning"], "各周问题数", "处")}


def write_weeks(site: Site) -> None:
    rows = []
    for week in reversed(site.facts.weeks):
        view = week_view(site, week)
        rows.append(view)
        for number, pages, codes in paged(list(site.facts.counties), MAP_COUNTIES):
            site.page(numbered(f"weeks/{week}", number), "week.html", title=week, codes=codes, number=number, pages=pages, base=week, **view)
    run, standing = site.facts.run, {p["publication_id"]: p["submissions"] for p in site.facts.publications}
    earlier = span.keep(site.standing, site.root, {"check_run": run["check_run_id"] if run else 0, "standing": standing})
    site.page("weeks.html", "weeks.html", title="各周", rows=rows, trend=trend(site), earlier=earlier)


def change(site: Site) -> dict[str, int] | None:
    """The week's findings against the weeks before: new, persisting, reopened, and what is gone. None in the first week."""
    if len(site.facts.weeks) < 2:
        return None
    mine = Counter(f["found_as"] for f in site.facts.findings if f["week"] == site.facts.week and f["life"] != "waived")
    return {
        "new": mine["new"], "persisting": mine["persisting"], "reopened": mine["reopened"],
        "resolved": sum(f["resolved_week"] == site.facts.week for f in site.facts.findings),
        "waived": sum(f["life"] == "waived" for f in site.facts.findings if f["week"] == site.facts.week),
    }  # fmt: skip


def anomaly_weeks(site: Site) -> list[tuple[str, list[dict]]]:
    """Anomalies week by week, the newest first; in each those that wait for a verdict before those that have one."""
    by_week: dict[str, list[dict]] = {}
    for one in site.facts.anomalies:
        by_week.setdefault(one["week"], []).append(one)
    return sorted(by_week.items(), reverse=True)


def carried_groups(site: Site) -> list[dict[str, Any]]:
    """Carried slices, a line for each county and week they are from."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in site.carried:
        groups.setdefault((one["county"], one["from_week"]), []).append(one["form"])
    return [{"county": c, "from_week": w, "forms": forms} for (c, w), forms in sorted(groups.items(), key=lambda g: (g[0][1], g[0][0]))]
