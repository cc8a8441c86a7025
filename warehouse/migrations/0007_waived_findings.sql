-- Which waiver a finding was waived by; a waiver may hold for every county.

alter table quality.finding add column waiver_id bigint references quality.waiver;
comment on column quality.finding.waiver_id is '据以豁免的豁免编号 | The waiver that set this finding aside';
comment on column quality.waiver.county_code is '县代码，* 为全部 | County code, * for all of them';
