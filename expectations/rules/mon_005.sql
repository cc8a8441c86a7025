-- rule: MON-005
-- message_zh: 与监测台账不一致：“{field_zh}”周报填报{value}{unit_zh}，截至{as_of_date}《监测对象台账》中该乡镇未消除风险的同级预警户为{expected}{unit_zh}，相差{difference}{unit_zh}。请核对两表，更正有误的一张后重报。
-- not_evaluable_zh: 同周《监测对象台账》未报或已退回，无法核对
--
-- A household is open on the as-of date while its risk has not been cleared by then. It counts in the township of its
-- village.
with weekly as (
    select s.*, l.submission_id as ledger_id
    from pg_temp.judging j
    join quality.accepted_submission s using (county_code, week)
    left join quality.accepted_submission l
        on l.form = 'MON02' and l.county_code = s.county_code and l.week = s.week and l.rows_loaded > 0
    where s.form = 'MON01' and s.rows_loaded > 0
), open_household as (
    select w.submission_id, v.township_code,
           count(*) filter (where m.alert_level = 'red') as red,
           count(*) filter (where m.alert_level = 'yellow') as yellow,
           count(*) filter (where m.alert_level = 'blue') as blue
    from weekly w
    join raw.mon02 m on m.submission_id = w.ledger_id
    join reference.villages v on v.village_code = m.village
    where m.cleared_date is null or m.cleared_date > w.as_of_date
    group by 1, 2
)
select w.week, w.county_code, w.form, w.submission_id, r.row_no, r.township as row_key, v.field,
       v.value::text as value, v.expected::text as expected, (v.value - v.expected)::text as difference, true as evaluable
from weekly w
join raw.mon01 r on r.submission_id = w.submission_id
left join open_household o on o.submission_id = w.submission_id and o.township_code = r.township
cross join lateral (values
    ('red_households', r.red_households, coalesce(o.red, 0)),
    ('yellow_households', r.yellow_households, coalesce(o.yellow, 0)),
    ('blue_households', r.blue_households, coalesce(o.blue, 0))
) v (field, value, expected)
where w.ledger_id is not null and v.value <> v.expected
union all
select week, county_code, form, submission_id, null, '', '', null, null, null, false
from weekly
where ledger_id is null
