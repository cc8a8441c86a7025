"""`warehouse waive` and `warehouse waivers`: rules set aside by name, with a reason and an expiry."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Any

import psycopg

from warehouse.settings import Settings, WarehouseError


def waive(
    connection: psycopg.Connection,
    settings: Settings,
    *,
    rule: str,
    county: str,
    form: str,
    first: str,
    last: str,
    by: str,
    reason: str,
    expires: str,
    read_again: bool,
) -> dict[str, Any]:
    """Grant a waiver; ``read_again`` also looks again at the forms that were returned for what it is about."""
    from expectations.waivers import grant_waiver

    try:
        until = dt.date.fromisoformat(expires)
    except ValueError as error:
        raise WarehouseError(f"{expires!r} is no date; write the expiry like 2020-09-30.") from error
    form = form.upper()
    number = grant_waiver(
        connection, rule_id=rule, county_code=county, form=form, from_week=first, to_week=last, granted_by=by, reason_zh=reason, expires_on=until
    )
    connection.commit()
    return again(connection, settings, number, read_again=read_again)


def describe_waive(result: dict[str, Any]) -> str:
    lines = [f"Waiver {result['waiver']} holds for files received up to its expiry; what it sets aside is still shown, as waived."]
    returned, again = result["returned"], result["read_again"]
    if again:
        accepted = sum(n for state, n in again["states"].items() if state != "returned")
        lines.append(f"Read again: {accepted} of {len(returned)} returned forms are accepted now, {again['rows_loaded']:,} rows. Run `warehouse cycle` to publish.")
    elif returned:
        which = ", ".join(f"{r['form']} {r['county_code']} {r['week']}" for r in returned[:5]) + (" …" if len(returned) > 5 else "")
        lines.append(f"{len(returned)} forms stand returned for this: {which}. To look at them again: warehouse waivers --read-again {result['waiver']}")
    return "\n".join(lines)


def waivers(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """Every waiver with the number of findings that it sets aside."""
    cursor = connection.execute(
        """select w.*, (select count(*) from quality.finding f where f.waiver_id = w.waiver_id and f.status = 'waived') as findings
           from quality.waiver w order by waiver_id"""
    )
    names = [c.name for c in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def describe(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "No waiver has been granted."
    return "\n".join(
        f"{w['waiver_id']:>4}  {w['rule_id']:<10} {w['form']:<6} {w['county_code']:<7} {w['from_week']}–{w['to_week']}  until {w['expires_on']}  "
        f"{w['findings']} findings  {w['granted_by']}：{w['reason_zh']}"
        for w in rows
    )


def again(connection: psycopg.Connection, settings: Settings, waiver: int, *, read_again: bool = True) -> dict[str, Any]:
    """The forms that stand returned for what a waiver is about, looked at again if wished."""
    from ingestion import rejudge

    if not connection.execute("select 1 from quality.waiver where waiver_id = %s", [waiver]).fetchone():
        raise WarehouseError(f"There is no waiver {waiver}.")
    returned = rejudge.returned_under(connection, waiver, settings)
    result: dict[str, Any] = {"waiver": waiver, "returned": [asdict(r) for r in returned], "read_again": None}
    if read_again and returned:
        loaded = rejudge.read_again(connection, settings, returned)
        result["read_again"] = {"states": dict(loaded.states), "rows_loaded": loaded.rows_loaded, "files": {f.name: f.message_zh for f in loaded.files}}
    return result
