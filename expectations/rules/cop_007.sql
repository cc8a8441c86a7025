-- rule: COP-007
-- message_zh: 台账与资金周报不一致：协作项目台账“{field_zh}”合计{value}{unit_zh}，《扶贫资金支出进度周报表》协作资金行为{expected}{unit_zh}，相差{difference}{unit_zh}。请核对两表，更正有误的一张后重报。
-- not_evaluable_zh: 同周《扶贫资金支出进度周报表》未报或已退回，或没有协作资金行，无法核对
with ledger as (
    select s.week, s.county_code, s.form, s.submission_id, f.submission_id is not null as evaluable, f.arrived as fund_arrived, f.spent as fund_spent
    from pg_temp.judging j
    join quality.accepted_submission s using (county_code, week)
    left join (
        select w.county_code, w.week, r.submission_id, r.arrived, r.spent
        from quality.accepted_submission w
        join raw.fun01 r on r.submission_id = w.submission_id and r.fund_line = 'cooperation'
        where w.form = 'FUN01'
    ) f using (county_code, week)
    where s.form = 'COP01' and s.rows_loaded > 0
), added_up as (
    select r.submission_id, sum(r.arrived) as arrived, sum(r.spent) as spent
    from raw.cop01 r
    where r.submission_id in (select submission_id from ledger)
    group by 1
)
select l.week, l.county_code, l.form, l.submission_id, null::integer as row_no, '' as row_key, v.field,
       trim_scale(v.value)::text as value, trim_scale(v.expected)::text as expected,
       trim_scale(v.value - v.expected)::text as difference, true as evaluable
from ledger l
join added_up a using (submission_id)
cross join lateral (values ('arrived', a.arrived, l.fund_arrived), ('spent', a.spent, l.fund_spent)) v (field, value, expected)
where l.evaluable and v.value <> v.expected
union all
select week, county_code, form, submission_id, null, '', '', null, null, null, false
from ledger
where not evaluable
