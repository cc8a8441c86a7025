"""The gate: may the slices that were built be published?

Blocked: something is in the candidate rows that must not be, and publishing would show it. Not blocked by a county's
own errors: those forms were returned, and the last accepted figures stand. Warnings want a reviewer's approval.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from expectations.marts import Mart
from ingestion.contract_model import Contracts

SHOWN = 3  # places named in the text; all of them follow from the figures


@dataclass(frozen=True, slots=True)
class Counts:
    errors: int  # open error findings of the judged county-weeks: forms that went back
    warnings: int  # open warnings on the accepted forms of those county-weeks


def findings(connection: psycopg.Connection) -> Counts:
    """Count the open findings of the county-weeks judged."""
    errors, warnings = connection.execute(
        """select count(*) filter (where f.severity = 'error'),
                  count(*) filter (where f.severity = 'warning' and n.accepted)
           from pg_temp.judging j
           join pg_temp.newest n using (county_code, week)
           join quality.finding f on f.submission_id = n.submission_id and f.status = 'open'"""
    ).fetchone()
    return Counts(errors, warnings)


def blocking(connection: psycopg.Connection, marts: dict[str, Mart], of: Contracts) -> list[str]:
    """Reasons, in Chinese, why the built slices must not be published; empty where there are none."""
    forms = [f for (f,) in connection.execute("select distinct form from pg_temp.pending order by 1")]
    reasons = [f"{form} 的候选集市尚未建立" for form in forms if form not in marts]
    weekly = [marts[f] for f in forms if f in marts and marts[f].weekly]
    if weekly:
        _candidate_rows(connection, weekly)
        reasons += _strangers(connection) + _unreconciled(connection, [m.form for m in weekly])
    for mart in (marts[f] for f in forms if f in marts and not marts[f].weekly):
        reasons += _accumulated(connection, mart, of)
    return reasons


def _candidate_rows(connection: psycopg.Connection, marts: list[Mart]) -> None:
    """Rows of the pending slices by submission, one scan a mart."""
    part = sql.SQL(
        """select p.form, p.county_code, p.week, c.submission_id, {carried} as carried, count(*) as rows
           from pg_temp.pending p join {mart} c on c.county_code = p.county_code and c.week = p.week
           where p.form = {form} group by 1, 2, 3, 4, 5"""
    )
    parts = [
        part.format(
            mart=sql.Identifier("candidate", m.name),
            form=sql.Literal(m.form),
            carried=sql.SQL("c.carried_from_week is not null" if "carried_from_week" in m.columns else "false"),
        )
        for m in marts
    ]
    connection.execute("drop table if exists pg_temp.candidate_rows")
    connection.execute(sql.SQL("create temporary table candidate_rows on commit drop as ") + sql.SQL(" union all ").join(parts))


def _strangers(connection: psycopg.Connection) -> list[str]:
    """Rows of a submission that is not the accepted one, or that belongs to another county, form or (own rows) week."""
    rows = connection.execute(
        """select c.form, c.county_code, c.week, sum(c.rows)
           from pg_temp.candidate_rows c
           left join quality.accepted_submission s on s.submission_id = c.submission_id and s.form = c.form
                and s.county_code = c.county_code and case when c.carried then s.week < c.week else s.week = c.week end
           where s.submission_id is null
           group by 1, 2, 3 order by 1, 2, 3"""
    ).fetchall()
    return _told(rows, "候选数据含有未被接收（已退回或已被替代）的报送的行", lambda r: f"{r[0]} {r[1]} {r[2]} 共{r[3]}行")


def _unreconciled(connection: psycopg.Connection, forms: list[str]) -> list[str]:
    """Slices with an accepted form whose own candidate rows are not as many as were loaded."""
    rows = connection.execute(
        """select p.form, p.county_code, p.week, s.rows_loaded, coalesce(sum(c.rows), 0) as rows
           from pg_temp.pending p
           join quality.accepted_submission s using (form, county_code, week)
           left join pg_temp.candidate_rows c
                on (c.form, c.county_code, c.week) = (p.form, p.county_code, p.week) and not c.carried and c.submission_id = s.submission_id
           where p.form = any(%s)
           group by 1, 2, 3, 4, s.submission_id
           having s.rows_loaded <> coalesce(sum(c.rows), 0)
           order by 1, 2, 3""",
        [forms],
    ).fetchall()
    return _told(rows, "候选数据与装载行数不一致", lambda r: f"{r[0]} {r[1]} {r[2]} 装载{r[3]}行、候选{r[4]}行")


def _accumulated(connection: psycopg.Connection, mart: Mart, of: Contracts) -> list[str]:
    """An accumulating mart holds every key that the accepted lists of the pending weeks name, and nothing of a list not accepted."""
    form = of.form(mart.form)
    rows = connection.execute(
        sql.SQL(
            """with county as (select distinct county_code from pg_temp.pending where form = {form}),
               listed as (
                   select distinct p.county_code, r.{key} as key
                   from pg_temp.pending p
                   join quality.accepted_submission s using (form, county_code, week)
                   join {raw} r on r.submission_id = s.submission_id
                   where p.form = {form}),
               compared as (
                   select l.county_code, count(*) as keys, count(m.county_code) as rows
                   from listed l left join {mart} m on m.county_code = l.county_code and m.{mart_key} = l.key group by 1),
               held as (
                   select m.county_code, count(*) filter (where s.submission_id is null) as strangers
                   from county c join {mart} m using (county_code)
                   left join quality.accepted_submission s on s.submission_id = m.submission_id group by 1)
               select {form}, county_code, coalesce(l.keys, 0), coalesce(l.rows, 0), coalesce(h.strangers, 0)
               from compared l full join held h using (county_code)
               where l.keys <> l.rows or h.strangers > 0 order by 2"""
        ).format(
            form=sql.Literal(mart.form),
            raw=sql.Identifier("raw", mart.form.lower()),
            key=sql.Identifier(form.key.name),
            mart_key=sql.Identifier(mart.key(form)[-1]),
            mart=sql.Identifier("candidate", mart.name),
        )
    ).fetchall()
    return _told(
        rows, "候选台账与已接收的各期台账不一致", lambda r: f"{r[0]} {r[1]} 应有{r[2]}条、候选{r[3]}条、其中来自未接收报送{r[4]}条"
    )


def _told(rows: list[tuple], what: str, place) -> list[str]:
    if not rows:
        return []
    more = f" 等{len(rows)}处" if len(rows) > SHOWN else ""
    return [f"{what}：{'；'.join(place(r) for r in rows[:SHOWN])}{more}"]
