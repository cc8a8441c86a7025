-- rule: IND-008
-- message_zh: 周报与发放明细不一致：“{field_zh}”周报填报{value}{unit_zh}，截至{as_of_date}各期《奖补资金发放明细表》合计{expected}{unit_zh}，相差{difference}{unit_zh}。请核对周报与明细，更正有误的一张后重报。
-- not_evaluable_zh: 本年以来有发放明细表未报或已退回，无法与周报核对
--
-- A household counts once for an industry, however often it was paid: on the day it was first paid (ops.payout_day). The lists must be complete from the first week
-- of the year for which any county sent one: with a list missing the sums say nothing about the weekly report.
with first_list as (
    select y.year, (select s.as_of_date from quality.accepted_submission s
                    where s.form = 'IND02' and s.week between y.year || '-W01' and y.year || '-W53' order by s.week limit 1) as as_of_date
    from (select distinct left(week, 4) as year from pg_temp.judging) y
), report as (
    select s.*, f.as_of_date as first_as_of_date
    from pg_temp.judging j
    join quality.accepted_submission s using (county_code, week)
    left join first_list f on f.year = left(s.week, 4)
    where s.form = 'IND01' and s.rows_loaded > 0
), judged as (
    select r.*, r.first_as_of_date <= r.as_of_date and (
        select count(*) from quality.accepted_submission l
        where l.form = 'IND02' and l.county_code = r.county_code and l.week between left(r.week, 4) || '-W01' and r.week
          and l.as_of_date between r.first_as_of_date and r.as_of_date
    ) = (r.as_of_date - r.first_as_of_date) / 7 + 1 as evaluable
    from report r
), listed as (
    select j.submission_id, d.industry, sum(d.amount) as amount, sum(d.households) as households
    from judged j
    join ops.payout_day d on d.county_code = j.county_code and d.year = left(j.week, 4) and d.paid_date <= j.as_of_date
    where j.evaluable
    group by 1, 2
)
select j.week, j.county_code, j.form, j.submission_id, r.row_no, r.industry as row_key, v.field,
       v.value::text as value, v.expected::text as expected, (v.value - v.expected)::text as difference, true as evaluable
from judged j
join raw.ind01 r on r.submission_id = j.submission_id
left join listed l on l.submission_id = j.submission_id and l.industry = r.industry
cross join lateral (values
    ('paid_households', r.paid_households::numeric, coalesce(l.households, 0)),
    ('paid_subsidy', trim_scale(r.paid_subsidy), trim_scale(coalesce(l.amount, 0)))
) v (field, value, expected)
where j.evaluable and v.value <> v.expected
union all
select week, county_code, form, submission_id, null, '', '', null, null, null, false
from judged
where evaluable is not true
