"""A person's leave to publish: when it is needed, what is at stake, and the answer on record.

Only warnings can be approved away. What the checks block stays blocked whoever asks.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from warehouse.roles import PUBLISHER, as_role
from warehouse.settings import WarehouseError

POLICIES = ("never", "on_warnings", "always")
DEADLINE_HOURS = 24.0
SHOWN = 12  # rules and marts named to the reviewer; the record holds all
UNITS_ZH = {"yuan": "元", "persons": "人", "households": "户"}


def needed(policy: str, verdict: str) -> bool:
    """Whether a publication with this verdict ('clean', 'warnings') has to wait for a person. Raises WarehouseError."""
    if policy not in POLICIES:
        raise WarehouseError(f"{policy!r} is no approval policy; it is one of {', '.join(POLICIES)}.")
    return policy == "always" or (policy == "on_warnings" and verdict == "warnings")


@dataclass(frozen=True)
class Stake:
    """What a publication would let through.

    ``warnings``: rule_id, text_zh, findings, counties (names). ``marts``: mart, form, rows added, changed and removed,
    and of these ``revised``, rows of weeks that are published already. ``revised_by``: by how much published figures move
    in sum, by unit (yuan, persons, households). ``warned_figures``: the figures that warnings are about, number and sum.
    """

    check_run_id: int
    week: str | None
    verdict: str
    returned: int  # open errors: forms that went back, whose last accepted figures stand
    warnings: list[dict[str, Any]] = field(default_factory=list)
    marts: list[dict[str, Any]] = field(default_factory=list)
    revised_by: dict[str, float] = field(default_factory=dict)
    warned_figures: dict[str, dict[str, float]] = field(default_factory=dict)


def at_stake(connection: psycopg.Connection, check_run_id: int) -> Stake:
    """Look up what the built slices would change, and what the checks warn of. Raises WarehouseError if overtaken."""
    from expectations.marts import candidates
    from ingestion.contracts import contracts

    require_current(connection, check_run_id)
    week, verdict, errors = connection.execute(
        "select publish_week, verdict, errors from quality.check_run where check_run_id = %s", [check_run_id]
    ).fetchone()
    of, marts, moved = contracts(), [], {}
    for code, mart in sorted(candidates(connection).items()):
        form = of.form(code)
        figures = {f.unit: [] for f in form.fields if f.unit in UNITS_ZH}
        for f in form.fields:
            if f.unit in UNITS_ZH and f.numeric and mart.column(f):
                figures[f.unit].append(mart.column(f))
        counts, by_unit = _changes(connection, mart, mart.key(form), figures)
        if any(counts.values()):
            marts.append({"mart": mart.name, "form": code, "zh": form.zh} | counts)
        for unit, amount in by_unit.items():
            moved[unit] = moved.get(unit, 0.0) + amount
    return Stake(check_run_id, week, verdict, errors or 0, _warnings(connection, check_run_id), marts, moved, _warned(connection, check_run_id))


WARNED = """
    with judged as (select distinct county_code, week from quality.check_result where check_run_id = %(run)s and county_code <> '*'),
    warned as (
        select f.* from judged j
        join quality.accepted_submission s using (county_code, week)
        join quality.finding f on f.submission_id = s.submission_id and f.severity = 'warning' and f.status = 'open'
    )
"""


def _warnings(connection: psycopg.Connection, check_run_id: int) -> list[dict[str, Any]]:
    rows = connection.execute(
        WARNED
        + """select w.rule_id, max(r.text_zh), w.form, count(*),
                    array_agg(distinct coalesce((select c.county_name from reference.counties c where c.county_code = w.county_code
                                                 order by c.valid_from desc nulls last limit 1), w.county_code))
             from warned w left join quality.rule r using (rule_id) group by w.rule_id, w.form order by count(*) desc, w.rule_id""",
        {"run": check_run_id},
    )
    return [{"rule_id": rule, "text_zh": text, "form": form, "findings": n, "counties": counties} for rule, text, form, n, counties in rows]


def _warned(connection: psycopg.Connection, check_run_id: int) -> dict[str, dict[str, float]]:
    """People and money in the rows that the warnings are about: cells and their sum, by unit, each figure once."""
    from expectations.marts import candidates
    from ingestion.contracts import contracts

    of, marts, found = contracts(), candidates(connection), {}
    places: dict[str, set[tuple[str, str, str, str]]] = {}
    for form, county, week, key, name in connection.execute(
        WARNED + "select distinct form, county_code, week, row_key, field from warned where form is not null and field <> ''", {"run": check_run_id}
    ):
        places.setdefault(form, set()).add((county, week, key, name))
    for code, cells in places.items():
        if code not in marts:
            continue
        form, mart = of.form(code), marts[code]
        if not mart.weekly or mart.column(form.key) is None:
            continue
        for f in form.fields:
            mine = [cell[:3] for cell in cells if cell[3] == f.name]
            if not mine or f.unit not in UNITS_ZH or not f.numeric or mart.column(f) is None:
                continue
            number, total = connection.execute(
                sql.SQL(
                    """select count(*), coalesce(sum(abs(m.{figure})), 0)
                       from unnest(%s::text[], %s::text[], %s::text[]) p (county_code, week, row_key)
                       join {mart} m on m.county_code = p.county_code and m.week = p.week and (p.row_key = '' or m.{key}::text = p.row_key)"""
                ).format(figure=sql.Identifier(mart.column(f)), mart=sql.Identifier("candidate", mart.name), key=sql.Identifier(mart.column(form.key))),
                [list(part) for part in zip(*mine, strict=True)],
            ).fetchone()
            entry = found.setdefault(f.unit, {"figures": 0, "sum": 0.0})
            entry["figures"] += number
            entry["sum"] += float(total)
    return found


def _changes(connection: psycopg.Connection, mart, key: list[str], figures: dict[str, list[str]]) -> tuple[dict[str, int], dict[str, float]]:
    """Rows of the built slices against what is published: counts, and by how much published figures move, by unit."""
    counts = {"added": 0, "changed": 0, "removed": 0, "revised": 0}
    published = connection.execute("select to_regclass(%s) is not null", [f"marts.{mart.name}"]).fetchone()[0]
    place = "(x.county_code, x.week)" if mart.weekly else "x.county_code"
    columns = "county_code, week" if mart.weekly else "county_code"
    affected = sql.SQL(f"{place} in (select {columns} from ops.pending_slice where form = {{}} and built)").format(sql.Literal(mart.form))
    candidate = sql.Identifier("candidate", mart.name)
    if not published:
        counts["added"] = connection.execute(sql.SQL("select count(*) from {} x where {}").format(candidate, affected)).fetchone()[0]
        return counts, {}
    # where a row came from may differ although none of its figures does: that changes nothing for a reader
    visible = {
        name for (name,) in connection.execute("select column_name from information_schema.columns where (table_schema, table_name) = ('marts', %s)", [mart.name])
    }
    own = sorted((mart.columns & visible) - {"submission_id", "source_row_no"})

    def names(prefix: str, of: list[str]) -> sql.Composed:
        return sql.SQL(", ").join(sql.Identifier(prefix, n) for n in of)

    move = {
        unit: sql.SQL(" + ").join(sql.SQL("abs(coalesce(c.{0}, 0) - coalesce(s.{0}, 0))").format(sql.Identifier(n)) for n in stand)
        for unit, columns_ in figures.items()
        if (stand := [n for n in columns_ if n in visible])
    }
    in_old_week = sql.SQL("c.week in (select week from marts.dim_week)" if mart.weekly else "s.county_code is not null")
    old_week_gone = sql.SQL("s.week in (select week from marts.dim_week)")  # the row is not in the candidates
    row = connection.execute(
        sql.SQL(
            """with c as (select {own} from {candidate} x where {affected}), s as (select {own} from {store} x where {affected})
               select count(*) filter (where s.county_code is null), count(*) filter (where s.county_code is not null and c.county_code is not null and ({c_own}) is distinct from ({s_own})),
                      count(*) filter (where c.county_code is null),
                      count(*) filter (where (({c_own}) is distinct from ({s_own})) and coalesce({old}, {old_gone})) {sums}
               from c full join s on ({c_key}) = ({s_key})"""
        ).format(
            own=names("x", own), candidate=candidate, store=sql.Identifier("marts", mart.name), affected=affected, c_own=names("c", own), s_own=names("s", own),
            c_key=names("c", key), s_key=names("s", key), old=in_old_week, old_gone=old_week_gone if mart.weekly else sql.SQL("true"),
            sums=sql.SQL("").join(sql.SQL(", coalesce(sum({}) filter (where coalesce({}, {})), 0)").format(m, in_old_week, old_week_gone if mart.weekly else sql.SQL("true")) for m in move.values()),
        )
    ).fetchone()
    counts.update(zip(counts, row[:4], strict=True))
    return counts, {unit: float(amount) for unit, amount in zip(move, row[4:], strict=True) if amount}


def describe(stake: Stake) -> str:
    """The same for a reviewer, in Markdown and Chinese."""
    lines = [f"**{stake.week}**，检查批次 {stake.check_run_id}，结论：{'有提示' if stake.verdict == 'warnings' else '无提示'}。"]
    if stake.returned:
        lines.append(f"另有 {stake.returned} 处错误，所在报表已退回，其上期数字继续有效。")
    if stake.warnings:
        lines += ["", "| 规则 | 报表 | 处数 | 县 | 内容 |", "|---|---|---|---|---|"]
        lines += [f"| {w['rule_id']} | {w['form']} | {w['findings']} | {'、'.join(w['counties'])} | {_cell(w['text_zh'])} |" for w in stake.warnings[:SHOWN]]
        if len(stake.warnings) > SHOWN:
            lines.append(f"| … | | | | 另有 {len(stake.warnings) - SHOWN} 条规则 |")
    if stake.warned_figures:
        lines += ["", "提示所涉数字：" + "；".join(f"{_amount(v['sum'], unit)}（{v['figures']:,} 个单元格）" for unit, v in stake.warned_figures.items()) + "。"]
    if stake.marts:
        lines += ["", "| 集市 | 新增行 | 变动行 | 撤下行 | 其中修订已发布的周 |", "|---|---|---|---|---|"]
        lines += [f"| {m['zh']} {m['mart']} | {m['added']:,} | {m['changed']:,} | {m['removed']:,} | {m['revised']:,} |" for m in stake.marts]
    if stake.revised_by:
        lines += ["", "已发布数字的变动合计（绝对值）：" + "；".join(_amount(v, unit) for unit, v in stake.revised_by.items()) + "。"]
    return "\n".join(lines)


def _amount(value: float, unit: str) -> str:
    if unit == "yuan" and abs(value) >= 10_000:
        return f"{value / 10_000:,.2f} 万元"
    return f"{value:,.0f} {UNITS_ZH[unit]}"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ")


# ---------------------------------------------------------------- the record


@as_role(PUBLISHER)
def ask(connection: psycopg.Connection, stake: Stake, answer_until: dt.datetime | None) -> int:
    """Put a request on record; returns its number. One that still waits for the same check run is overtaken by it."""
    with connection.transaction():
        connection.execute(
            "update quality.approval set decision = 'overtaken', decided_at = clock_timestamp() where decision is null",
        )
        return connection.execute(
            "insert into quality.approval (check_run_id, answer_until, at_stake) values (%s, %s, %s) returning approval_id",
            [stake.check_run_id, answer_until, Jsonb(asdict(stake))],
        ).fetchone()[0]


@as_role(PUBLISHER)
def answer(connection: psycopg.Connection, check_run_id: int, decision: str, by: str | None, note: str | None = None) -> None:
    """Note the answer to the request that waits for a check run: approved, rejected or lapsed."""
    connection.execute(
        """update quality.approval set decision = %s, decided_by = %s, decided_at = clock_timestamp(), note = %s
           where check_run_id = %s and decision is null""",
        [decision, by, note, check_run_id],
    )


def require_current(connection: psycopg.Connection, check_run_id: int) -> None:
    """Raises WarehouseError if there is no such run, or if something was built after it: that was never judged."""
    row = connection.execute(
        """select c.verdict, exists (select from ops.build_run b where b.started_at > c.started_at)
           from quality.check_run c where c.check_run_id = %s""",
        [check_run_id],
    ).fetchone()
    if row is None or row[0] is None:
        raise WarehouseError(f"There is no finished check run {check_run_id}.")
    if row[0] == "blocked":
        raise WarehouseError(f"Check run {check_run_id} blocks the publication. Errors cannot be approved: mend them, then build and judge again.")
    if row[1]:
        raise WarehouseError(f"Something was built after check run {check_run_id}, and nobody has judged that: run `warehouse judge` (or build_and_publish) again.")
