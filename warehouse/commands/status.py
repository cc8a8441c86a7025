"""`warehouse status`: where the home stands, in one look."""

from __future__ import annotations

from typing import Any

import psycopg

STATES = ("on_time", "late", "corrected", "empty", "returned", "missing", "expected")
STATES_ZH = ("已报", "迟报", "补报", "空报", "退回", "缺报", "应报")


def status(connection: psycopg.Connection, week: str | None = None) -> dict[str, Any]:
    """Last publication, county × state counts of ``week`` (default: the newest judged), what waits and what is open."""
    from warehouse.cycle import latest_publication

    def one(sql: str, *values: Any) -> Any:
        return connection.execute(sql, values).fetchone()[0]

    week = week or one("select max(week) from quality.reporting_status")
    counties: dict[str, dict[str, Any]] = {}
    rows = connection.execute(
        """select s.county_code, coalesce(max(c.county_name), s.county_code), s.status, count(*) as forms
           from quality.reporting_status s
           left join (select distinct on (county_code) county_code, county_name from reference.counties
                      order by county_code, valid_from desc nulls last) c using (county_code)
           where s.week = %s group by s.county_code, s.status order by s.county_code""",
        [week],
    )
    for code, name, state, forms in rows:
        counties.setdefault(code, {"county_name": name})[state] = forms
    last_run = connection.execute(
        "select check_run_id, verdict, blocking_zh, publish_week from quality.check_run where verdict is not null order by check_run_id desc limit 1"
    ).fetchone()
    return {
        "publication": latest_publication(connection),
        "last_check": dict(zip(("check_run_id", "verdict", "blocking_zh", "publish_week"), last_run, strict=True)) if last_run else None,
        "week": week,
        "counties": counties,
        "files_waiting": one("select count(*) from intake.file where outcome is null"),
        "slices_pending": one("select count(*) from ops.pending_slice"),
        "open_findings": {"error": 0, "warning": 0}
        | dict(connection.execute("select severity, count(*) from quality.finding where status = 'open' group by 1").fetchall()),
    }


def describe(state: dict[str, Any]) -> str:
    """The same for a person; county names and states in Chinese as the counties know them."""
    lines = []
    publication = state["publication"]
    if publication:
        lines.append(
            f"Publication   number {publication['publication']}, week {publication['week']}, "
            f"{publication['published_at']:%Y-%m-%d %H:%M %Z}, approved by {publication['approved_by']}"
        )
    else:
        lines.append("Publication   none yet")
    check = state["last_check"]
    if check:
        lines.append(f"Last check    run {check['check_run_id']}: {check['verdict']}" + (f" — {check['blocking_zh']}" if check["blocking_zh"] else ""))
    findings = state["open_findings"]
    lines.append(f"Waiting       {state['files_waiting']:,} files to load, {state['slices_pending']:,} slices to publish")
    lines.append(f"Open findings {findings['error']:,} errors, {findings['warning']:,} warnings")
    if state["counties"]:
        lines += ["", f"{state['week']}  forms by state", *table(state["counties"])]
    return "\n".join(lines)


def table(counties: dict[str, dict[str, Any]]) -> list[str]:
    """Lines of the county × state table; Chinese characters take two columns of a terminal."""
    width = max(_columns(c["county_name"]) for c in counties.values())
    lines = [" " * width + "".join(f"{zh:>4}" for zh in STATES_ZH)]
    for county in counties.values():
        name = county["county_name"]
        cells = "".join(f"{county.get(s) or '·':>6}" for s in STATES)
        lines.append(name + " " * (width - _columns(name)) + cells)
    return lines


def _columns(text: str) -> int:
    return sum(2 if ord(c) > 0x2E7F else 1 for c in text)
