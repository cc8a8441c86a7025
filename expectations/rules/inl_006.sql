-- rule: INL-006
-- message_zh: 同一身份证号在两户领取奖补：本笔流水号{row_key}的户编号与{expected}的户编号不同。一个身份证号只能属于一户，请核实户编号和身份证号，更正后重报。
--
-- The household of the first payment in the city is taken as the person's own; a later payment under another one is
-- the finding.
with touched as materialized (
    select distinct p.id_key
    from pg_temp.judging j
    join quality.accepted_submission s using (county_code, week)
    join raw.ind02 p on p.submission_id = s.submission_id
    join ops.payout_person using (id_key)  -- all others were paid once, or rightly
    where s.form = 'IND02'
), payout as (
    select s.week, s.county_code, s.form, p.submission_id, p.row_no, p.payment_no, p.household_key, p.id_key, p.paid_date
    from touched t
    join raw.ind02 p using (id_key)
    join quality.accepted_submission s on s.submission_id = p.submission_id
    where s.form = 'IND02'
), ranked as (
    select p.*, first_value(p.household_key) over person as first_household_key,
           first_value(p.payment_no) over person as first_payment_no, first_value(p.week) over person as first_week
    from payout p
    window person as (partition by p.id_key order by p.paid_date, p.week, p.county_code, p.row_no)
)
select r.week, r.county_code, r.form, r.submission_id, r.row_no, r.payment_no as row_key, 'household_no' as field,
       null::text as value, '首笔流水号' || r.first_payment_no || '（' || r.first_week || '）' as expected, null::text as difference, true as evaluable
from ranked r
join pg_temp.judging j using (county_code, week)
where r.household_key <> r.first_household_key
