-- What rules across payment lists ask again and again, counted once a list instead of over all of a year's payments each week
-- (expectations/payouts.py keeps it; docs/decisions/0011).

create table ops.payout_list (
    submission_id bigint primary key references intake.submission,
    county_code text not null,
    week text not null,
    first_paid date,
    counted boolean not null
);
create index on ops.payout_list (county_code, week);
comment on table ops.payout_list is '已计入累计的发放明细表；被取代或暂缓的保留但不计 | Payment lists that have been counted; what was superseded or held since stays listed and is not counted. first_paid is null for an empty list';

create table ops.payout_household (
    county_code text,
    year text,
    industry text,
    household_key text,
    first_paid date not null,
    primary key (county_code, year, industry, household_key)
);
comment on table ops.payout_household is '每户（假名）每产业本年首次发放日期 | Day on which a household (pseudonym) was first paid for an industry in a year';

create table ops.payout_day (
    county_code text,
    year text,
    industry text,
    paid_date date,
    amount numeric not null,
    households bigint not null,
    primary key (county_code, year, industry, paid_date)
);
comment on table ops.payout_day is '各县各产业每日发放金额、首次发放户数 | Yuan paid on a day, and households first paid on it; added up to a day they are what a weekly report must say';

create table ops.payout_person (id_key text primary key);
comment on table ops.payout_person is '可能重复领取或跨户领取的身份证号（假名） | Persons (pseudonyms) with two payments for the same industry and batch, or of two households; all others need not be looked at';
