"""Cross-form rules: one SQL file a rule in ``rules/``, run over the county-weeks of ``pg_temp.judging``.

Each file begins with comment lines ``-- name: text``: ``rule`` (the id, as in the contract), ``message_zh`` (for the
county; may use {field_zh}, {value}, {expected}, {difference}, {unit_zh}, {row_key}, {as_of_date}) and, where the rule
needs more than its own form, ``not_evaluable_zh``. The statement yields, in this order,

    week, county_code, form, submission_id, row_no, row_key, field, value, expected, difference, evaluable

one row a violation (row_no NULL: of the form as a whole), and one with ``evaluable`` false for each submission that
cannot be judged. All values are text, money in yuan. It reads ``quality.accepted_submission``, ``raw`` and what
`expectations.payouts` counts, and yields no personal data but masked.
"""

from __future__ import annotations

import functools
import logging
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from ingestion.contract_model import ContractError, Contracts

FOLDER = Path(__file__).parent / "rules"
COLUMNS = (
    "week", "county_code", "form", "submission_id", "row_no", "row_key", "field", "value", "expected", "difference", "evaluable",
)  # fmt: skip
HEADER = re.compile(r"^-- (\w+): (.+)$", re.MULTILINE)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RuleFile:
    rule_id: str
    message_zh: str
    not_evaluable_zh: str | None
    statement: str


@functools.cache
def rule_files(folder: Path = FOLDER) -> dict[str, RuleFile]:
    """Every rule file by rule id. Raises ContractError for a file without its header."""
    files = {}
    for path in sorted(folder.glob("*.sql")):
        text = path.read_text(encoding="utf-8")
        header = dict(HEADER.findall(text))
        if not {"rule", "message_zh"} <= header.keys():
            raise ContractError(f"{path.name}: begins without its lines `-- rule:` and `-- message_zh:`")
        files[header["rule"]] = RuleFile(header["rule"], header["message_zh"], header.get("not_evaluable_zh"), text)
    return files


def judge(connection: psycopg.Connection, of: Contracts) -> list[str]:
    """Judge every cross-form rule and bring ``quality.finding`` (stage judgement) to what came out.

    Leaves ``pg_temp.violation`` (one row a finding), ``pg_temp.not_evaluable`` (rule_id, submission_id, note_zh) and
    ``pg_temp.rule_duration`` (rule_id, milliseconds) for the results. Returns the ids of rules that could not be run; their findings stay as they were.
    """
    _prepare(connection, of)
    broken = []
    for rule in rule_files().values():
        if rule.rule_id not in of.rules:
            continue
        began = time.perf_counter()
        try:
            with connection.transaction():
                _run(connection, rule)
        except psycopg.Error as error:
            log.error("Rule %s could not be run: %s", rule.rule_id, str(error).splitlines()[0])
            broken.append(rule.rule_id)
        connection.execute("insert into pg_temp.rule_duration values (%s, %s)", [rule.rule_id, (time.perf_counter() - began) * 1000])
    _record(connection, broken)
    return broken


def _prepare(connection: psycopg.Connection, of: Contracts) -> None:
    connection.execute("drop table if exists pg_temp.violation, pg_temp.not_evaluable, pg_temp.field_words, pg_temp.rule_duration")
    connection.execute(
        """create temporary table violation (
               rule_id text, severity text, week text, county_code text, form text, file_id bigint, submission_id bigint,
               member text, sheet text, cell text, row_key text, field text, value text, expected text, difference text,
               message_zh text) on commit drop"""
    )
    connection.execute(
        "create temporary table not_evaluable (rule_id text, submission_id bigint, note_zh text) on commit drop"
    )
    connection.execute("create temporary table rule_duration (rule_id text, milliseconds double precision) on commit drop")
    connection.execute("create temporary table field_words (form text, field text, zh text, unit_zh text) on commit drop")
    with connection.cursor().copy("copy pg_temp.field_words from stdin") as copy:
        for row in _field_words(of):
            copy.write_row(row)


def _field_words(of: Contracts) -> Iterable[tuple[str, str, str, str]]:
    units = of.writing["unit_words"]
    for form in (of.form(code) for code in of.codes):
        for field in form.fields:
            unit = "元" if field.money else units.get(field.unit, [""])[0]
            yield form.code, field.name, field.zh, unit


def _run(connection: psycopg.Connection, rule: RuleFile) -> None:
    """One rule: its rows into a table of their own, then cells and words for those that are violations."""
    connection.execute("drop table if exists pg_temp.judged_row")
    connection.execute(b"create temporary table judged_row on commit drop as\n" + rule.statement.encode())
    names = tuple(d.name for d in connection.execute("select * from pg_temp.judged_row limit 0").description)
    if names != COLUMNS:
        raise psycopg.ProgrammingError(f"{rule.rule_id} yields {', '.join(names)}; a rule yields {', '.join(COLUMNS)}")
    connection.execute(
        """insert into pg_temp.not_evaluable
           select %s, submission_id, %s from pg_temp.judged_row where evaluable is not true""",
        [rule.rule_id, rule.not_evaluable_zh or "缺少所需数据，无法检查"],
    )
    for (form,) in connection.execute("select distinct form from pg_temp.judged_row where evaluable").fetchall():
        raw = sql.Identifier("raw", form.lower())
        connection.execute(sql.SQL(WITH_CELL).format(raw=raw), {"rule": rule.rule_id, "form": form, "message": rule.message_zh})


WITH_CELL = """
insert into pg_temp.violation
select c.rule_id, c.severity, q.week, q.county_code, q.form, s.file_id, q.submission_id,
       coalesce(at.block ->> 'member', s.member), coalesce(at.block ->> 'sheet', s.sheet),
       coalesce(at.source ->> 'col' || (at.sheet_row + coalesce((at.source ->> 'row_offset')::integer, 0)), ''),
       q.row_key, q.field, q.value, q.expected, q.difference,
       replace(replace(replace(replace(replace(replace(replace(%(message)s,
           '{{field_zh}}', coalesce(f.zh, q.field)), '{{unit_zh}}', coalesce(f.unit_zh, '')),
           '{{value}}', coalesce(q.value, '')), '{{expected}}', coalesce(q.expected, '')),
           '{{difference}}', coalesce(q.difference, '')), '{{row_key}}', q.row_key), '{{as_of_date}}', s.as_of_date::text)
from pg_temp.judged_row q
join pg_temp.catalogue c on c.week = q.week and c.form = q.form and c.rule_id = %(rule)s
join intake.submission s on s.submission_id = q.submission_id
left join pg_temp.field_words f on f.form = q.form and f.field = q.field
left join lateral (
    select b.block, b.block -> 'columns' -> q.field as source, r.sheet_row
    from {raw} r
    left join jsonb_array_elements(s.layout) b (block) on (b.block ->> 'block')::integer = r.block_no
    where r.submission_id = q.submission_id and r.row_no = q.row_no
) at on true
where q.evaluable and q.form = %(form)s
"""


# The same fault at the same place of the same submission; its figures may have changed with the other form's
SAME = """f.stage = 'judgement' and f.status in ('open', 'waived') and f.rule_id = v.rule_id
          and f.submission_id = v.submission_id and f.row_key = v.row_key and f.field = v.field and f.cell = v.cell"""


def _record(connection: psycopg.Connection, broken: list[str]) -> None:
    """Findings that came out again keep their number; those that did not are closed; new ones are added."""
    connection.execute("analyze pg_temp.violation")
    connection.execute(
        f"""update quality.finding f
            set status = case when s.superseded_by is null then 'resolved' else 'superseded' end, closed_at = clock_timestamp()
            from pg_temp.judging j, intake.submission s
            where f.stage = 'judgement' and f.status in ('open', 'waived') and f.week = j.week and f.county_code = j.county_code
              and s.submission_id = f.submission_id and f.rule_id <> all(%s)
              and not exists (select from pg_temp.violation v where {SAME})""",
        [broken],
    )
    connection.execute(
        f"""update quality.finding f
            set (severity, value, expected, difference, message_zh) = (v.severity, v.value, v.expected, v.difference, v.message_zh)
            from pg_temp.violation v
            where {SAME} and (f.severity, f.value, f.expected, f.difference, f.message_zh)
                  is distinct from (v.severity, v.value, v.expected, v.difference, v.message_zh)"""
    )
    connection.execute(
        f"""insert into quality.finding (rule_id, severity, stage, week, county_code, form, file_id, submission_id, member, sheet,
                                         cell, row_key, field, value, expected, difference, message_zh)
            select v.rule_id, v.severity, 'judgement', v.week, v.county_code, v.form, v.file_id, v.submission_id, v.member, v.sheet,
                   v.cell, v.row_key, v.field, v.value, v.expected, v.difference, v.message_zh
            from pg_temp.violation v
            where not exists (select from quality.finding f where {SAME})
            order by v.rule_id, v.week, v.county_code, v.form, v.submission_id, v.row_key, v.field"""
    )
