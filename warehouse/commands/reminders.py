"""`warehouse remind`: letters to the counties that are overdue."""

from __future__ import annotations

from typing import Any

from expectations.reminders import Reminder


def as_json(found: list[Reminder], cleared: int) -> dict[str, Any]:
    return {
        "reminders": [
            {"county_code": r.county_code, "week": r.week, "forms": r.forms, "file": str(r.path), "written": r.written} for r in found
        ],
        "written": sum(r.written for r in found),
        "cleared": cleared,
    }


def describe(result: dict[str, Any]) -> str:
    if not result["reminders"]:
        return "Nothing is overdue."
    lines = [f"{r['county_code']}  {r['week']}  {len(r['forms']):>2} forms  {'written' if r['written'] else 'as before'}  {r['file']}" for r in result["reminders"]]
    return "\n".join([*lines, f"{result['written']} reminders written, {len(result['reminders']) - result['written']} as before, {result['cleared']} cleared away."])
