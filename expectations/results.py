"""Results: what became of every rule for every form, county and week that was judged, in one statement.

A result is about the submission in ``pg_temp.newest``. Status, the first line that fits:

    error           the rule could not be run
    not_applicable  the form is not owed by that county and nothing came, or the form has nothing the rule is about
    not_evaluable   nothing came in, or an empty form, or what the rule compares with is missing
    fail            an open error finding (the form has been returned)
    pass_with_violations  an open warning, or a violation that has been waived
    pass

A violation beats a missing input: what was found was found.
"""

from __future__ import annotations

import psycopg


def write(connection: psycopg.Connection, check_run_id: int, broken_rules: list[str]) -> dict[str, int]:
    """Write ``quality.check_result`` for the judged county-weeks; returns the number of results by status."""
    connection.execute("drop table if exists pg_temp.violated, pg_temp.lacking")
    connection.execute(VIOLATED)
    connection.execute("analyze pg_temp.violated")
    connection.execute(LACKING)
    connection.execute("analyze pg_temp.lacking")
    connection.execute(RESULTS, {"run": check_run_id, "broken": broken_rules})
    connection.execute(FILE_RESULTS, {"run": check_run_id})
    rows = connection.execute(
        "select status, count(*) from quality.check_result where check_run_id = %s group by 1 order by 1", [check_run_id]
    )
    return dict(rows.fetchall())


# Rows are told apart by their place on the sheet: a key that stands twice would count once, a row without one not at all.
VIOLATED = """
create temporary table violated on commit drop as
select f.submission_id, f.rule_id, bool_or(f.severity = 'error' and f.status = 'open') as fails,
       count(distinct (f.member, f.sheet, coalesce(nullif(regexp_replace(f.cell, '\\D', '', 'g'), ''), f.row_key))) as rows_violated,
       string_agg(distinct '已豁免：' || w.reason_zh || '（' || w.granted_by || '，有效期至' || w.expires_on || '）', '；') as waived_zh
from pg_temp.judging j
join pg_temp.newest n using (county_code, week)
join quality.finding f on f.submission_id = n.submission_id
left join quality.waiver w on w.waiver_id = f.waiver_id and f.status = 'waived'
where f.status in ('open', 'waived')
group by 1, 2
"""

# What a rule lacks, by submission. Several reasons may hold; the first is told.
LACKING = """
create temporary table lacking on commit drop as
select distinct on (submission_id, rule_id) submission_id, rule_id, note_zh
from (
    select n.submission_id, c.rule_id, 1 as place, '空报，没有数据可检查' as note_zh
    from pg_temp.judging j
    join pg_temp.newest n using (county_code, week)
    join pg_temp.catalogue c on c.week = n.week and c.form = n.form
    where n.state = 'empty'
    union all
    select n.submission_id, c.rule_id, 2, '缺少本规则所需的列'
    from pg_temp.judging j
    join pg_temp.newest n using (county_code, week)
    join pg_temp.catalogue c on c.week = n.week and c.form = n.form and cardinality(c.fields) > 0
    join quality.finding f on f.submission_id = n.submission_id and f.rule_id = 'GEN-COLMISS' and f.field = any(c.fields)
    union all
    select n.submission_id, c.rule_id, 3,
           case c.across when 'week_before' then '上一周没有已接收的数据' else '此前没有已接收的数据' end
    from pg_temp.judging j
    join pg_temp.newest n using (county_code, week)
    join pg_temp.catalogue c on c.week = n.week and c.form = n.form and c.across is not null
    where (  -- a scalar, because a NOT EXISTS is made into a join that reads every submission there is
        select true from quality.accepted_submission p
        where p.form = n.form and p.county_code = n.county_code and p.week < n.week and p.rows_loaded > 0
          and p.week >= case c.across when 'any' then '' when 'same_year' then left(n.week, 4) else to_char(n.as_of_date - 7, 'IYYY-"W"IW') end
          and (c.across = 'any' or c.across = 'same_year' and left(p.week, 4) = left(n.week, 4)
               or c.across = 'week_before' and p.as_of_date = n.as_of_date - 7)
        limit 1) is null
    union all
    select n.submission_id, c.rule_id, 4, '本表已退回，跨表核对以已接收的数据为准'
    from pg_temp.judging j
    join pg_temp.newest n using (county_code, week)
    join pg_temp.catalogue c on c.week = n.week and c.form = n.form and c.cross_form
    where not n.accepted
    union all
    select submission_id, rule_id, 5, note_zh from pg_temp.not_evaluable
    union all
    select n.submission_id, c.rule_id, 6, '没有适用于该日期的参考标准'
    from pg_temp.judging j
    join pg_temp.newest n using (county_code, week)
    join pg_temp.catalogue c on c.week = n.week and c.form = n.form and c.reference is not null
    where not case c.reference
        when 'spending_target' then exists (select from reference.spending_targets t where t.month_end <= n.as_of_date)
        else exists (select from reference.subsidy_caps t
                     where t.county_code in (n.county_code, '*') and n.as_of_date between t.valid_from and coalesce(t.valid_to, 'infinity'))
        end
) reason
order by submission_id, rule_id, place
"""

RESULTS = """
insert into quality.check_result (check_run_id, rule_id, form, week, county_code, status, severity, submission_id, rows_checked, rows_violated,
                                  note_zh, threshold, duration_ms)
select %(run)s, c.rule_id, c.form, j.week, j.county_code,
       case when c.rule_id = any(%(broken)s) then 'error'
            when o.form is null and n.submission_id is null or not c.applicable then 'not_applicable'
            when v.fails then 'fail'
            when v.rows_violated > 0 then 'pass_with_violations'
            when n.submission_id is null or l.rule_id is not null then 'not_evaluable'
            else 'pass' end,
       c.severity, n.submission_id,
       case when c.applicable and l.rule_id is null then n.rows_read end,
       case when n.submission_id is not null and c.applicable and (l.rule_id is null or v.rows_violated > 0) then coalesce(v.rows_violated, 0) end,
       case when c.rule_id = any(%(broken)s) then '规则执行出错'
            when o.form is null and n.submission_id is null then '该县不需报送本表'
            when not c.applicable then '本表没有该规则所指的内容'
            when v.rows_violated > 0 then v.waived_zh
            when n.submission_id is null then '未收到'
            else l.note_zh end,
       c.threshold, d.milliseconds
from pg_temp.judging j
join pg_temp.catalogue c using (week)
left join pg_temp.owed o on o.week = j.week and o.county_code = j.county_code and o.form = c.form
left join pg_temp.newest n on n.week = j.week and n.county_code = j.county_code and n.form = c.form
left join pg_temp.violated v on v.submission_id = n.submission_id and v.rule_id = c.rule_id
left join pg_temp.lacking l on l.submission_id = n.submission_id and l.rule_id = c.rule_id
left join pg_temp.rule_duration d on d.rule_id = c.rule_id
where c.form <> '*'
"""

# Rules about files: one result for a county and week, whichever of its files it was
FILE_RESULTS = """
insert into quality.check_result (check_run_id, rule_id, form, week, county_code, status, severity, rows_checked, rows_violated, note_zh, threshold)
select %(run)s, c.rule_id, '*', j.week, j.county_code,
       case when f.fails then 'fail' when f.findings > 0 then 'pass_with_violations' when n.files is null then 'not_evaluable' else 'pass' end,
       c.severity, n.files, case when n.files is not null then coalesce(f.files, 0) end, case when n.files is null and f.findings is null then '未收到' end,
       c.threshold
from pg_temp.judging j
join pg_temp.catalogue c on c.week = j.week and c.form = '*'
left join (select week, county_code, count(distinct file_id)::integer as files from pg_temp.newest group by 1, 2) n
    on n.week = j.week and n.county_code = j.county_code
left join (
    select rule_id, week, county_code, count(*) as findings, count(distinct file_id)::integer as files,
           bool_or(severity = 'error' and status = 'open') as fails
    from quality.finding
    where rule_id in (select rule_id from pg_temp.catalogue where form = '*') and status in ('open', 'waived')
      and (week, county_code) in (select week, county_code from pg_temp.judging)
    group by 1, 2, 3
) f on f.rule_id = c.rule_id and f.week = j.week and f.county_code = j.county_code
"""
