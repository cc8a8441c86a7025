-- What judgement reads and how its runs are looked up.

create view quality.accepted_submission as
select submission_id, form, county_code, week, as_of_date, version, state, rows_loaded
from intake.submission
where state <> 'returned' and superseded_by is null and county_code is not null and week is not null;
comment on view quality.accepted_submission is '各县各周各表现行有效的报送 | The accepted submission that stands for each form, county and week';

-- a submission nobody has judged yet is found by the lack of a result of its own
create index on quality.check_result (submission_id);
create index on quality.finding (county_code, week) where stage = 'judgement' and status in ('open', 'waived');
create index on quality.waiver (rule_id, form, county_code);
