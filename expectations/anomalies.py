"""Anomalies: found in the candidate marts of the judged weeks, kept in ``quality.anomaly`` with a reviewer's verdict.

How a verdict is used: what is ``confirmed`` (the figure is wrong) leaves the baseline of everything that follows;
``explained`` and ``false_alarm`` stay in it, and the same kind in the same series is only brought up again when it
is further out than what was judged (for figures that stand still: once they have moved and stand still again).
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import psycopg
from psycopg import sql

from expectations.anomaly_tests import Column, Found, Panel, find
from expectations.marts import Mart
from ingestion.contract_model import Contracts, Field, Form
from warehouse import calendar
from warehouse.settings import WarehouseError

VERDICTS = ("confirmed", "explained", "false_alarm")
WINDOW = 53  # weeks looked back on
UNITS = {"yuan": "yuan", "persons": "persons", "households": "households"}
UNITS_ZH = {"yuan": "元", "persons": "人", "households": "户"}
PEOPLE_PER_HOUSEHOLD = 4  # to rank households with people
COLUMNS = (
    "mart", "form", "column_name", "week", "county_code", "row_key", "kind", "basis", "score", "value", "baseline", "baseline_week",
    "at_stake", "at_stake_unit", "weight", "text_zh", "check_run_id",
)  # fmt: skip


def detect(connection: psycopg.Connection, marts: dict[str, Mart], of: Contracts, weeks: Iterable[str], check_run_id: int | None) -> int:
    """Look through the given weeks of every weekly mart; returns how many anomalies stand in them afterwards."""
    weeks = sorted(set(weeks))
    if not weeks:
        return 0
    first = calendar.week_of(calendar.monday_of(weeks[0]) - dt.timedelta(weeks=WINDOW))
    judged = _judged(connection)
    rows = []
    for code, mart in sorted(marts.items()):
        form = of.form(code)
        fields = [f for f in form.fields if f.numeric and f.kind != "declared" and mart.column(f)]
        if form.listing != "level" or not mart.weekly or form.key.pseudonymised or not fields:
            continue
        panel = _panel(connection, mart, form, fields, first, weeks[-1], judged)
        newest = len(panel.weeks) - 1
        for t in (panel.weeks.index(w) for w in weeks if w in panel.weeks):
            for column, found in find(panel, t, t == newest):
                row = _row(mart, form, panel, column, found, panel.weeks[t], check_run_id)
                if not _known(judged, row):
                    rows.append(row)
    return _keep(connection, rows, weeks)


def _panel(connection: psycopg.Connection, mart: Mart, form: Form, fields: list[Field], first: str, last: str, judged: list[dict]) -> Panel:
    """A mart's own rows (none that are carried forward) as arrays."""
    key = mart.key(form)[-1]
    own = sql.SQL("and carried_from_week is null" if "carried_from_week" in mart.columns else "")
    query = sql.SQL("select week, county_code, {key}::text, {columns} from {mart} where week between %s and %s {own} order by week").format(
        key=sql.Identifier(key),
        columns=sql.SQL(", ").join(sql.SQL("{}::float8").format(sql.Identifier(mart.column(f))) for f in fields),
        mart=sql.Identifier("candidate", mart.name),
        own=own,
    )
    rows = connection.execute(query, [first, last]).fetchall()
    weeks = {w: n for n, w in enumerate(calendar.weeks_between(rows[0][0], rows[-1][0]))} if rows else {}
    series: dict[tuple[str, str], int] = {}
    places = [(series.setdefault((county, row_key), len(series)), weeks[week]) for week, county, row_key, *_ in rows]
    cube = np.full((len(fields), len(series), len(weeks)), np.nan)
    if rows:
        at = np.array(places)
        cube[:, at[:, 0], at[:, 1]] = np.array([row[3:] for row in rows], dtype=float).T
    # one township is like another; a fund line or a channel is like the same one of other counties
    alike = form.key.codes in ("values", "industry")
    bases = _bases(form)
    columns = []
    for n, field in enumerate(fields):
        trusted = cube[n].copy()
        for j in judged:
            place = (j["county_code"], j["row_key"])
            if j["verdict"] == "confirmed" and (j["mart"], j["column_name"]) == (mart.name, mart.column(field)) and place in series and j["week"] in weeks:
                trusted[series[place], weeks[j["week"]]] = np.nan
        columns.append(Column(mart.column(field), field.kind, field.unit or "", field.name in bases, cube[n], trusted))
    keys = np.array([k for _, k in series], dtype=object)
    return Panel(list(weeks), np.array([c for c, _ in series], dtype=object), keys, keys.astype(str) if alike else np.zeros(len(keys)), columns)


def _bases(form: Form) -> set[str]:
    """Fields that a rate of the form is worked out over."""
    texts = [r.definition.get("expression", "") for r in form.rules_of("declared")]
    texts += [e for r in form.rules_of("declared") for e in r.definition.get("pairs", {}).values()]
    return {name for text in texts for name in re.findall(r"/\s*(\w+)", text)}


def _judged(connection: psycopg.Connection) -> list[dict]:
    cursor = connection.execute(
        "select mart, column_name, week, county_code, row_key, kind, verdict, judged_score, baseline_week from quality.anomaly where verdict is not null"
    )
    names = [c.name for c in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _known(judged: list[dict], row: dict[str, Any]) -> bool:
    """Whether a reviewer has said of the like that it is no fault."""
    for j in judged:
        same = all(j[name] == row[name] for name in ("mart", "column_name", "county_code", "row_key", "kind"))
        if same and j["week"] != row["week"] and j["verdict"] != "confirmed":
            if row["kind"] == "frozen":
                if j["baseline_week"] == row["baseline_week"]:
                    return True
            elif row["score"] <= 1.2 * (j["judged_score"] or 0):
                return True
    return False


def _row(mart: Mart, form: Form, panel: Panel, column: Column, found: Found, week: str, run: int | None) -> dict[str, Any]:
    unit = UNITS.get(column.unit, "other")
    weight = {"yuan": found.at_stake / 10_000, "households": found.at_stake * PEOPLE_PER_HOUSEHOLD}.get(unit, found.at_stake)
    zh = next(f.zh for f in form.fields if mart.column(f) == column.name)
    return {
        "mart": mart.name, "form": form.code, "column_name": column.name, "week": week, "county_code": found.county,
        "row_key": "" if found.series is None else str(panel.key[found.series]), "kind": found.kind, "basis": found.basis,
        "score": round(float(found.score), 2), "value": _plain(found.value), "baseline": _plain(found.baseline), "baseline_week": found.baseline_week,
        "at_stake": _plain(found.at_stake), "at_stake_unit": unit, "weight": float(weight), "text_zh": _text(zh, column, found, week), "check_run_id": run,
    }  # fmt: skip


def _plain(value: float | None) -> float | None:
    return None if value is None or value != value else round(float(value), 4)


def _text(zh: str, column: Column, found: Found, week: str) -> str:
    """In one sentence what stands out, for a reviewer."""

    def figure(v: float) -> str:
        return f"{v:,.2f}".rstrip("0").rstrip(".") + UNITS_ZH.get(column.unit, "")

    def percent(v: float) -> str:
        return f"{v:+.1%}"

    d = found.detail
    match found.kind:
        case "outlier" if found.basis == "size":
            return f"“{zh}”为{figure(found.value)}，各县同类约为{figure(found.baseline)}，量级悬殊，请核实计量单位。"
        case "outlier":
            parts = [f"“{zh}”由{found.baseline_week}的{figure(d['before'])}变为{figure(found.value)}"]
            if d["rate"] == d["rate"]:
                parts.append(f"（{percent(d['rate'])}）")
            if d["usual"] is not None:
                parts.append(f"，以往每周变动中位数{figure(d['usual'])}")
            if d["peers"] is not None and d["peers"] == d["peers"]:
                parts.append(f"，各县同期{percent(d['peers'])}")
            return "".join(parts) + "。"
        case "restatement":
            what = "累计数下降" if column.kind == "cumulative" else "基数被改动"
            return f"{what}：“{zh}”由{found.baseline_week}的{figure(found.baseline)}改为{figure(found.value)}（{percent(d['rate'])}）。"
        case "frozen":
            rows = f"，涉及{d['rows']}行" if d["rows"] > 1 else ""
            return f"“{zh}”自{found.baseline_week}起连续{d['weeks']}周未变{rows}，同期各县同类每周有{d['moved']:.0%}发生变动。"
        case "round_digits":
            return f"“{zh}”近几周{d['values']}个数中末位为0或5的占{found.value:.0%}，各县为{found.baseline:.0%}，疑为估报。"
    return f"“{zh}”近几周{d['values']}个数的末位数字分布过于均匀（χ²＝{found.value:.2f}，自由度9），疑为编排。"


def _keep(connection: psycopg.Connection, rows: list[dict[str, Any]], weeks: list[str]) -> int:
    """Bring the table to what came out: verdicts stay, what no longer comes out goes unless somebody judged it."""
    connection.execute("create temporary table found (like quality.anomaly including defaults) on commit drop")
    connection.execute("alter table pg_temp.found drop column anomaly_id")
    with connection.cursor().copy(f"copy pg_temp.found ({', '.join(COLUMNS)}) from stdin") as copy:
        for row in rows:
            copy.write_row([row[c] for c in COLUMNS])
    changed = ", ".join(c for c in COLUMNS if c not in ("mart", "column_name", "week", "county_code", "row_key", "kind"))
    same = "(a.mart, a.column_name, a.week, a.county_code, a.row_key, a.kind) = (f.mart, f.column_name, f.week, f.county_code, f.row_key, f.kind)"
    connection.execute(
        f"""update quality.anomaly a set ({changed}, standing) = ({', '.join('f.' + c.strip() for c in changed.split(','))}, true)
            from pg_temp.found f where {same}"""
    )
    # of what goes on over weeks only the newest week is told
    connection.execute(
        """delete from quality.anomaly a using pg_temp.found f
           where a.verdict is null and a.kind = f.kind and a.kind in ('frozen', 'round_digits', 'even_digits') and a.week < f.week
             and (a.mart, a.column_name, a.county_code, a.row_key) = (f.mart, f.column_name, f.county_code, f.row_key)"""
    )
    connection.execute(
        f"""with gone as (select anomaly_id from quality.anomaly a where a.week = any(%(weeks)s)
                          and not exists (select from pg_temp.found f where {same})),
                 dropped as (delete from quality.anomaly a using gone g where a.anomaly_id = g.anomaly_id and a.verdict is null)
            update quality.anomaly a set standing = false from gone g where a.anomaly_id = g.anomaly_id and a.verdict is not null""",
        {"weeks": weeks},
    )
    connection.execute(
        f"""insert into quality.anomaly ({', '.join(COLUMNS)}) select {', '.join(COLUMNS)} from pg_temp.found f
            where not exists (select from quality.anomaly a where {same})"""
    )
    connection.execute("drop table pg_temp.found")
    rank(connection, weeks)
    return connection.execute("select count(*) from quality.anomaly where week = any(%s) and standing", [weeks]).fetchone()[0]


def rank(connection: psycopg.Connection, weeks: list[str]) -> None:
    """Number what stands and nobody has judged, within each week, by the people and the money at stake."""
    connection.execute(
        """update quality.anomaly a set rank = n.rank
           from (select anomaly_id, case when standing and verdict is null then
                        row_number() over (partition by week, standing and verdict is null order by weight desc, score desc, anomaly_id) end as rank
                 from quality.anomaly where week = any(%s)) n
           where n.anomaly_id = a.anomaly_id and n.rank is distinct from a.rank""",
        [weeks],
    )


def review(connection: psycopg.Connection, anomaly_id: int, *, verdict: str, by: str, note: str | None) -> None:
    """Record what a reviewer says of an anomaly. Raises WarehouseError for an unknown number, verdict, or no name."""
    if verdict not in VERDICTS:
        raise WarehouseError(f"A verdict is one of {', '.join(VERDICTS)}.")
    if not by.strip():
        raise WarehouseError("A verdict needs the name of whoever gives it.")
    if verdict != "false_alarm" and not (note or "").strip():
        raise WarehouseError("Say in a note what was found out.")
    week = connection.execute(
        """update quality.anomaly set verdict = %s, reviewer = %s, note = %s, reviewed_at = clock_timestamp(), judged_score = score
           where anomaly_id = %s returning week""",
        [verdict, by.strip(), (note or "").strip() or None, anomaly_id],
    ).fetchone()
    if week is None:
        raise WarehouseError(f"There is no anomaly {anomaly_id}.")
    rank(connection, list(week))


@functools.cache
def columns() -> tuple[str, ...]:
    """The columns that a listing shows."""
    return (
        "anomaly_id", "rank", "week", "county_code", "form", "mart", "column_name", "row_key", "kind", "basis", "score", "value", "baseline",
        "baseline_week", "at_stake", "at_stake_unit", "text_zh", "standing", "verdict", "reviewer", "note", "reviewed_at",
    )  # fmt: skip


def listing(connection: psycopg.Connection, week: str | None = None, *, everything: bool = False, since: str = "") -> list[dict[str, Any]]:
    """Anomalies of a week (default: the newest with any), by rank; with ``everything`` judged ones and earlier weeks (from ``since`` on) too."""
    if week is None and not everything:
        week = connection.execute("select max(week) from quality.anomaly where standing").fetchone()[0]
    rows = connection.execute(
        f"""select {', '.join(columns())} from quality.anomaly
            where (%(week)s::text is null or week = %(week)s) and (%(everything)s or standing) and week >= %(since)s
            order by week desc, rank nulls last, anomaly_id""",
        {"week": week, "everything": everything, "since": since},
    )
    return [dict(zip(columns(), row, strict=True)) for row in rows]
