-- rule: INL-004
-- message_zh: 同一身份证号、同一产业、同一批次重复发放：本笔流水号{row_key}，{expected}。请核实：确系重复的，按规定处理后重报；确为分次发放的，请更正批次号。
--
-- Judged by pseudonym: the number itself is sealed and stays with the loader. Which payout is the second follows from the date of payment, then from the order of the lists.
with touched as materialized (
    select distinct p.id_key, p.industry, p.batch_no
    from pg_temp.judging j
    join quality.accepted_submission s using (county_code, week)
    join raw.ind02 p on p.submission_id = s.submission_id
    join ops.payout_person using (id_key)  -- all others were paid once, or rightly
    where s.form = 'IND02'
), payout as (
    select s.week, s.county_code, s.form, p.submission_id, p.row_no, p.payment_no, p.id_key, p.industry, p.batch_no, p.paid_date
    from touched t
    join raw.ind02 p using (id_key, industry, batch_no)
    join quality.accepted_submission s on s.submission_id = p.submission_id
    where s.form = 'IND02'
), ranked as (
    select p.*, row_number() over repeated as place,
           first_value(p.payment_no) over repeated as first_payment_no, first_value(p.week) over repeated as first_week
    from payout p
    window repeated as (partition by p.id_key, p.industry, p.batch_no order by p.paid_date, p.week, p.county_code, p.row_no)
)
select r.week, r.county_code, r.form, r.submission_id, r.row_no, r.payment_no as row_key, 'id_number' as field,
       null::text as value,
       '首笔流水号' || r.first_payment_no || '（' || r.first_week || '）' as expected, null::text as difference, true as evaluable
from ranked r
join pg_temp.judging j using (county_code, week)
where r.place > 1
