"""Cross-week rules: what has just been read against what was accepted before, as set-based SQL.

The statements are made from the contracts: a rule's ``check`` names the kind of comparison, its other properties say
for which fields. They run over ``pg_temp.incoming`` (one row a submission, see `load`) and ``pg_temp.incoming_<form>``
(its rows), so all submissions of a form that arrive together are judged at once.

Every statement yields submission_id, row_no, block_no, sheet_row, row_key, field, value, expected, difference, note.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psycopg
from psycopg import sql

from ingestion.contract_model import Field, Form, Rule
from ingestion.copying import PreparedForm, block_of, cell_of
from ingestion.model import Finding
from ingestion.raw_tables import pseudonym_column

Names = dict[str, sql.Identifier]  # what the statements call a form's tables and columns

UNITS_ZH = {"yuan": "元", "persons": "人", "households": "户", "projects": "个", "items": "项"}

# EMP-009 and its like. An alarm wants both a rare change and one that matters; a township of 3,000 away moves by a
# few dozen persons in an ordinary week.
OUTLIER = {
    "jump_rate": 0.40,  # against last week, whatever the history says …
    "jump_persons": 200,  # … and at least so many
    "history": 6,  # changes of the township's own needed before its history counts
    "peers": 20,  # townships of other counties needed before they count
    "scores": 8,  # robust standard deviations from both medians
    "least_spread": 0.02,  # as a rate: figures that hardly move must not make a small step look enormous
    "least_rate": 0.10,
    "least_persons": 100,
    "window_days": 371,  # 53 weeks: what lies further back is not read
}


@dataclass(frozen=True, slots=True)
class Incoming:
    """What acceptance has to know of a submission that has just been copied in."""

    submission_id: int
    form: PreparedForm
    previous_week: str | None  # the last accepted week that carries rows


def judge(connection: psycopg.Connection, incoming: Iterable[Incoming], *, straight: bool = False) -> dict[int, list[Finding]]:
    """Findings of the cross-week rules by submission_id. A field that already has an error is not judged again.

    ``straight``: the rows stand in ``raw`` already, not in ``pg_temp``.
    """
    by_contract: dict[tuple[str, str], list[Incoming]] = defaultdict(list)
    for item in incoming:
        by_contract[item.form.contract.code, item.form.contract.version].append(item)
    findings: dict[int, list[Finding]] = defaultdict(list)
    for items in by_contract.values():
        form = items[0].form.contract
        of = {item.submission_id: item for item in items}
        for rule, statement in statements(form, straight):
            rows = defaultdict(list)
            for row in connection.execute(statement, {"ids": list(of)}):
                rows[row[0]].append(row)
            for submission_id, found in rows.items():
                findings[submission_id] += _findings(rule, form, of[submission_id], found)
    return findings


def _findings(rule: Rule, form: Form, item: Incoming, rows: list[tuple]) -> list[Finding]:
    reading = item.form.reading
    if rule.check == "still_listed" and len(rows) <= item.form.unreadable_keys:
        return []  # the rows that seem to be gone are most likely those whose key cannot be read
    faulty = {(f.row_no, f.field) for f in reading.findings if f.severity == "error"}
    found = []
    for _, row_no, block_no, sheet_row, row_key, name, value, expected, difference, note in rows:
        if (row_no, name) in faulty or (row_no, form.key.name) in faulty:
            continue
        field = form.by_name[name]
        block = block_of(reading, block_no) if block_no is not None else None
        found.append(
            Finding(
                rule.id, rule.severity,
                MESSAGES[rule.check](field, form, row_key, _words(field, value), _words(field, expected), _words(field, difference), note or item.previous_week),
                form.code, reading.county_code, reading.week, block.member if block else reading.member,
                block.sheet if block else reading.sheet, cell_of(block, name, sheet_row) if block else "", row_no,
                row_key or "", name, None if field.personal else value, None if field.personal else expected, difference, "acceptance",
            )
        )
    return found


# ---------------------------------------------------------------- words


def _words(field: Field, value: str | None) -> str:
    if value is None:
        return ""
    if field.values:
        return field.values.get(value, (value,))[0]
    if field.type == "boolean":
        return "是" if value == "true" else "否"
    return value + UNITS_ZH.get(field.unit or "", "") if field.numeric else value


MESSAGES: dict[str, Callable[..., str]] = {
    "no_fall": lambda f, form, key, value, expected, difference, week: (
        f"“{f.zh}”本周为{value}，低于{_week(week)}的{expected}（差{difference}）。累计数不得下降；如确有核减，请在该行“变化原因”栏或表下“变化原因：…”中说明后重报，否则请更正。"
    ),
    "unchanged": lambda f, form, key, value, expected, difference, week: (
        f"“{f.zh}”本周为{value}，与{_week(week)}的{expected}不同（差{difference}）。该数年内应保持不变，请核对。"
    ),
    "still_listed": lambda f, form, key, value, expected, difference, week: (
        f"{_week(week)}所列“{f.zh}”{'' if f.personal else key}，本周不再列出。台账只增不减，请补列并注明现状。"
    ),
    "stays": lambda f, form, key, value, expected, difference, week: (
        f"“{f.zh}”{_week(week)}为“{expected}”，本周为“{value}”。请核对；如情况确有反复，请说明。"
    ),
    "balance": lambda f, form, key, value, expected, difference, week: (
        f"存量不平：按{_week(week)}数加本周增减推算应为{expected}，本周填报{value}（差{difference}）。请核对“{f.zh}”及本周新增、消除数。"
    ),
    "unique_in_year": lambda f, form, key, value, expected, difference, week: (
        f"“{f.zh}”{'' if f.personal else value}在{_week(week)}已经报过，同一年内不得重复。请删除重复行或更正编号。"
    ),
    "outlier": lambda f, form, key, value, expected, difference, week: (
        f"“{f.zh}”本周为{value}，{_week(week)}为{expected}（差{difference}），变化异常，请核实。"
    ),
}


def _week(week: str | None) -> str:
    return f"{week[:4]}年第{int(week[6:])}周" if week else "上期"


# ---------------------------------------------------------------- statements


_made: dict[tuple[int, bool], tuple[Form, tuple[tuple[Rule, sql.Composed], ...]]] = {}


def statements(form: Form, straight: bool = False) -> tuple[tuple[Rule, sql.Composed], ...]:
    """(rule, statement) for each cross-week rule of a form; each statement takes ``ids``, the submissions to judge."""
    at = (id(form), straight)
    if at not in _made:  # a contract holds dictionaries, so it cannot be hashed; the form kept here keeps its id
        names = _names(form, straight)
        _made[at] = form, tuple((rule, KINDS[rule.check](form, rule, names)) for rule in form.rules_of(*KINDS))
    return _made[at][1]


def _names(form: Form, straight: bool) -> dict[str, sql.Identifier]:
    raw = sql.Identifier("raw", form.code.lower())
    shown = pseudonym_column(form.key.name) if form.key.pseudonymised else form.key.name
    return {
        "incoming": raw if straight else sql.Identifier("pg_temp", "incoming_" + form.code.lower()),
        "raw": raw,
        "key": sql.Identifier(shown),  # a personal key itself is sealed; its pseudonym is the same where it is
        "shown": sql.Identifier(shown),
    }


def _compare(form: Form, rule: Rule, names: Names, condition: str) -> sql.Composed:
    """One row for each field whose value now and last week meet a condition on v.value, v.expected, t and i."""
    fields = [form.by_name[name] for name in rule.definition["fields"]]
    values = sql.SQL(", ").join(
        sql.SQL("({}, t.{}::numeric, p.{}::numeric, {})").format(
            sql.Literal(f.name), sql.Identifier(f.name), sql.Identifier(f.name), sql.Literal(f.kind in ("cumulative", "constant"))
        )
        for f in fields
    )
    return sql.SQL(
        """select t.submission_id, t.row_no, t.block_no, t.sheet_row, t.{shown}::text, v.field, trim_scale(v.value)::text,
                  trim_scale(v.expected)::text, trim_scale(v.value - v.expected)::text, null
           from pg_temp.incoming i
           join {incoming} t on t.submission_id = i.submission_id
           join {raw} p on p.submission_id = i.previous_id and p.{key} = t.{key}
           cross join lateral (values {values}) v (field, value, expected, of_the_year)
           where i.submission_id = any(%(ids)s) and (i.same_year or not v.of_the_year) and {condition}
           order by 1, 2"""
    ).format(**names, values=values, condition=sql.SQL(condition))


def _no_fall(form: Form, rule: Rule, names: Names) -> sql.Composed:
    return _compare(form, rule, names, "v.value < v.expected and t.change_reason is null and not i.explained")


def _unchanged(form: Form, rule: Rule, names: Names) -> sql.Composed:
    return _compare(form, rule, names, "v.value <> v.expected")


def _still_listed(form: Form, rule: Rule, names: Names) -> sql.Composed:
    return sql.SQL(
        """select i.submission_id, null::int, null::int, null::int, p.{shown}::text, {name}, null, p.{shown}::text, null, null
           from pg_temp.incoming i
           join {raw} p on p.submission_id = i.previous_id
           where i.submission_id = any(%(ids)s) and not i.empty and not exists (
               select from {incoming} t where t.submission_id = i.submission_id and t.{key} = p.{key})
           order by 1, p.row_no"""
    ).format(**names, name=sql.Literal(form.key.name))


def _stays(form: Form, rule: Rule, names: Names) -> sql.Composed:
    field = form.by_name[rule.definition["field"]]
    return sql.SQL(
        """select t.submission_id, t.row_no, t.block_no, t.sheet_row, t.{shown}::text, {name}, t.{field}::text, p.{field}::text, null, null
           from pg_temp.incoming i
           join {incoming} t on t.submission_id = i.submission_id
           join {raw} p on p.submission_id = i.previous_id and p.{key} = t.{key}
           where i.submission_id = any(%(ids)s) and p.{field} = {value} and t.{field} <> {value}
           order by 1, 2"""
    ).format(**names, name=sql.Literal(field.name), field=sql.Identifier(field.name), value=sql.Literal(rule.definition["value"]))


def _balance(form: Form, rule: Rule, names: Names) -> sql.Composed:
    level, change = rule.definition["level"], rule.definition["change"]
    return sql.SQL(
        """select t.submission_id, t.row_no, t.block_no, t.sheet_row, t.{shown}::text, {name}, trim_scale(v.value)::text,
                  trim_scale(v.expected)::text, trim_scale(v.value - v.expected)::text, null
           from pg_temp.incoming i
           join {incoming} t on t.submission_id = i.submission_id
           join {raw} p on p.submission_id = i.previous_id and p.{key} = t.{key}
           cross join lateral (values (({level_now})::numeric, ({level_before} + {change})::numeric)) v (value, expected)
           where i.submission_id = any(%(ids)s) and i.previous_week = i.week_before and v.value <> v.expected
           order by 1, 2"""
    ).format(
        **names,
        name=sql.Literal(rule.definition["field"]),
        level_now=_sum(form, level, "t"),
        level_before=_sum(form, level, "p"),
        change=_sum(form, change, "t"),
    )


def _sum(form: Form, expression: str, alias: str) -> sql.Composed:
    """A sum of fields as written in a contract, over one table. Raises ValueError for anything but names, + and -."""
    parts = []
    for token in re.findall(r"\w+|\S", expression):
        if token in form.by_name:
            parts.append(sql.Identifier(alias, token))
        elif token in "+-":
            parts.append(sql.SQL(token))
        else:
            raise ValueError(f"{form.code}: {expression!r} is no sum of the form's fields")
    return sql.SQL(" ").join(parts)


def _unique_in_year(form: Form, rule: Rule, names: Names) -> sql.Composed:
    field = form.by_name[rule.definition["field"]]
    return sql.SQL(
        """select distinct on (t.submission_id, t.row_no)
                  t.submission_id, t.row_no, t.block_no, t.sheet_row, t.{shown}::text, {name}, t.{field}::text, null, null, s.week
           from pg_temp.incoming i
           join {incoming} t on t.submission_id = i.submission_id
           join intake.accepted_submission s on s.form = i.form and s.county_code = i.county_code and s.week <> i.week
               and left(s.week, 4) = left(i.week, 4)
           join {raw} o on o.submission_id = s.submission_id and o.{field} = t.{field}
           where i.submission_id = any(%(ids)s)
           order by t.submission_id, t.row_no, s.week"""
    ).format(**names, name=sql.Literal(field.name), field=sql.Identifier(field.name))


def _outlier(form: Form, rule: Rule, names: Names) -> sql.Composed:
    """Robust outlier of the change since the last accepted week (Hampel: distance from the median in units of the
    median absolute deviation × 1.4826), against the row's own history and against the other counties' last change.
    """
    (name,) = rule.definition["fields"]
    return sql.SQL(
        """with change as materialized (  -- most rows end here, so the histories are looked up for a handful
               select t.submission_id, t.row_no, t.block_no, t.sheet_row, t.{key} as key, t.{shown}::text as shown, i.county_code, i.week,
                      t.{field} as now, p.{field} as before, t.{field}::float8 / nullif(p.{field}, 0) - 1 as rate
               from pg_temp.incoming i
               join {incoming} t on t.submission_id = i.submission_id
               join {raw} p on p.submission_id = i.previous_id and p.{key} = t.{key}
               where i.submission_id = any(%(ids)s) and t.change_reason is null and not i.explained
                 and abs(t.{field} - p.{field}) > {least_persons} and abs(t.{field} - p.{field}) > {least_rate} * p.{field}
           ), accepted as (
               select s.* from intake.accepted_submission s, (select to_char(to_date(min(week) || '-1', 'IYYY-"W"IW-ID') - {window_days}, 'IYYY-"W"IW') as since from change) w
               where s.form = {form} and s.rows_loaded > 0 and s.week >= w.since
           ), own_rate as (
               select c.submission_id, c.row_no, d.rate
               from change c
               cross join lateral (
                   select r.{field}::float8 / nullif(lag(r.{field}) over (order by s.week), 0) - 1 as rate
                   from accepted s join {raw} r on r.submission_id = s.submission_id and r.{key} = c.key
                   where s.county_code = c.county_code and s.week < c.week) d
           ), peer_rate as (
               select c.county_code, c.week, r.{field}::float8 / nullif(b.{field}, 0) - 1 as rate
               from (select distinct county_code, week from change) c
               cross join lateral (
                   select s.submission_id, lag(s.submission_id) over (partition by s.county_code order by s.week) as before_id,
                          row_number() over (partition by s.county_code order by s.week desc) as age
                   from accepted s where s.county_code <> c.county_code and s.week <= c.week) s
               join {raw} r on r.submission_id = s.submission_id
               join {raw} b on b.submission_id = s.before_id and b.{key} = r.{key}
               where s.age = 1
           ), rates as (
               select submission_id, row_no, 'own' as whose, rate from own_rate
               union all
               select c.submission_id, c.row_no, 'peer', r.rate from change c join peer_rate r using (county_code, week)
           ), medians as (
               select submission_id, row_no, whose, count(rate) as number, percentile_cont(0.5) within group (order by rate) as median
               from rates group by submission_id, row_no, whose
           ), spreads as (
               select submission_id, row_no, whose, number, median, max(abs(rate)) as widest,
                      greatest({least_spread}, 1.4826 * percentile_cont(0.5) within group (order by abs(rate - median))) as spread
               from rates join medians using (submission_id, row_no, whose) group by submission_id, row_no, whose, number, median
           )
           select c.submission_id, c.row_no, c.block_no, c.sheet_row, c.shown, {name}, c.now::text, c.before::text, (c.now - c.before)::text, null
           from change c
           left join spreads own on (own.submission_id, own.row_no, own.whose) = (c.submission_id, c.row_no, 'own') and own.number >= {history}
           left join spreads peer on (peer.submission_id, peer.row_no, peer.whose) = (c.submission_id, c.row_no, 'peer') and peer.number >= {peers}
           where (abs(c.now - c.before) > {jump_persons} and abs(c.now - c.before) > {jump_rate} * c.before)
              or ((own.number is not null or peer.number is not null)
                  and coalesce(abs(c.rate - own.median) > {scores} * own.spread and abs(c.rate) > own.widest, true)
                  and coalesce(abs(c.rate - peer.median) > {scores} * peer.spread, true))
           order by 1, 2"""
    ).format(
        **names,
        **{k: sql.Literal(v) for k, v in OUTLIER.items()},
        form=sql.Literal(form.code),
        name=sql.Literal(name),
        field=sql.Identifier(name),
    )


KINDS: dict[str, Callable[[Form, Rule], sql.Composed]] = {
    "no_fall": _no_fall,
    "unchanged": _unchanged,
    "still_listed": _still_listed,
    "stays": _stays,
    "balance": _balance,
    "unique_in_year": _unique_in_year,
    "outlier": _outlier,
}
