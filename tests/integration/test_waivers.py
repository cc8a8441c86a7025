"""Waivers when a form comes in: what is waived is recorded as waived and returns nothing; what cannot be, is refused."""

from __future__ import annotations

import datetime as dt
import shutil
from decimal import Decimal

import openpyxl
import pytest
from click.testing import CliRunner
from readings import COUNTY, error, file_of, form_reading

from expectations.judge import judge
from expectations.waivers import grant_waiver
from ingestion.load import load, load_readings
from ingestion.model import Finding
from ingestion.receive import archived, receive
from ingestion.rejudge import read_again, returned_under
from warehouse.settings import WarehouseError

pytestmark = pytest.mark.database
WEEK, AT = "2020-W24", "2020-06-15T09:00+08:00"


def waive(connection, rule="COC-002", form="COP03", **change):
    about = {
        "rule_id": rule, "county_code": COUNTY, "form": form, "from_week": WEEK, "to_week": WEEK, "granted_by": "数据组组长 李某",
        "reason_zh": "年初口径调整", "expires_on": dt.date(2020, 6, 30),
    }  # fmt: skip
    number = grant_waiver(connection, **(about | change))
    connection.commit()
    return number


def reading(rule="COC-002", form="COP03", severity="error", **about):
    made = form_reading(form, WEEK, {"channel": ["procurement", "direct"], "sales": [Decimal(5), Decimal(6)], "poor_persons_benefited": [1, 2]})
    made.findings.append(Finding(rule, severity, "…", form, COUNTY, WEEK, cell="B5", field="sales", **({"row_no": 1} | about)))
    return made


def outcome(connection, *readings, at=AT):
    """State of the submission, rows loaded, and (rule, status, has a waiver) of its findings."""
    load_readings(connection, connection_settings[0], [file_of(connection, *readings, at=at)])
    state, rows = connection.execute("select state, rows_loaded from intake.submission order by submission_id desc limit 1").fetchone()
    found = connection.execute("select rule_id, status, waiver_id is not null from quality.finding order by finding_id").fetchall()
    return state, rows, found


connection_settings: list = []


@pytest.fixture(autouse=True)
def _settings(settings):
    connection_settings[:] = [settings]


def test_without_a_waiver_the_form_goes_back(connection):
    assert outcome(connection, reading()) == ("returned", 0, [("COC-002", "open", False)])


@pytest.mark.parametrize("county", [COUNTY, "*"])
def test_a_waived_error_is_recorded_and_the_form_is_loaded(connection, county):
    waive(connection, county_code=county)
    assert outcome(connection, reading()) == ("on_time", 2, [("COC-002", "waived", True)])
    assert connection.execute("select sum(sales) from raw.cop03").fetchone() == (11,)


@pytest.mark.parametrize(
    "change",
    [{"county_code": "451003"}, {"from_week": "2020-W25", "to_week": "2020-W26"}, {"expires_on": dt.date(2020, 6, 14)}, {"rule": "COC-001"}],
    ids=["county", "weeks", "expired", "rule"],
)
def test_a_waiver_holds_for_its_own_county_weeks_rule_and_time_only(connection, change):
    waive(connection, **change)
    assert outcome(connection, reading())[0] == "returned"


def test_it_has_not_expired_on_its_last_day_in_the_citys_time(connection):
    waive(connection, expires_on=dt.date(2020, 6, 15))
    assert outcome(connection, reading(), at="2020-06-15T15:59+00:00")[0] == "on_time"  # 23:59 there
    assert outcome(connection, reading(), at="2020-06-15T16:00+00:00")[0] == "returned"


def test_another_error_still_returns_the_form(connection):
    waive(connection)
    made = reading()
    made.findings.append(error(made, 2, "sales"))
    assert outcome(connection, made) == ("returned", 0, [("COC-002", "waived", True), ("GEN-TYPE", "open", False)])


@pytest.mark.parametrize("rule", ["GEN-TYPE", "GEN-REQ", "GEN-PLACE", "GEN-KEY", "GEN-COLMISS"])
def test_what_leaves_no_value_cannot_be_waived(connection, rule):
    with pytest.raises(WarehouseError, match="cannot be waived"):
        waive(connection, rule)


def test_a_key_that_stands_twice_returns_the_form_whatever_is_waived(connection):
    """EMP-008's like: the rule also asks for rows that are not there, and those may be waived."""
    from ingestion.contracts import contracts

    form = next(f for f in contracts().forms if f.rules_of("complete"))
    (rule,) = form.rules_of("complete")
    waive(connection, rule.id, form.code)
    keys = {form.key.name: ["451002001", "451002001"]}
    for row_no, state in ((2, "returned"), (None, "on_time")):
        made = form_reading(form.code, WEEK, keys)
        made.findings.append(Finding(rule.id, "error", "…", form.code, COUNTY, WEEK, field=form.key.name, row_no=row_no))
        assert outcome(connection, made)[0] == state


def test_the_result_says_that_it_was_waived_by_whom_and_why(connection, settings):
    waive(connection)
    outcome(connection, reading())
    now = dt.datetime(2020, 6, 17, 12, tzinfo=settings.timezone)
    judge(connection, settings, now=now, publish_week=WEEK, great_expectations=False)
    result = "select status, rows_violated, note_zh from quality.check_result_current where (rule_id, form, county_code, week) = ('COC-002', 'COP03', %s, %s)"
    status, rows, note = connection.execute(result, [COUNTY, WEEK]).fetchone()
    assert (status, rows) == ("pass_with_violations", 1)
    assert "年初口径调整" in note and "李某" in note and "2020-06-30" in note
    after = dt.datetime(2020, 7, 2, 12, tzinfo=settings.timezone)
    judge(connection, settings, now=after, publish_week=WEEK, great_expectations=False)
    assert connection.execute("select status from quality.finding where rule_id = 'COC-002'").fetchone() == ("waived",)  # accepted stays accepted


# ---------------------------------------------------------------- after a form was returned


def workbook(path):
    """A CAM01 (rows in CAM) and a COP03 of one county."""
    book = openpyxl.Workbook()
    cam, cop = book.active, book.create_sheet("消费")
    head = ["填报单位：右江区", "截至日期：2020年6月14日", "单位：万元"]
    for row in [["四大战役项目进度周报表"], head, ["项目类别", "计划数", "已开工", "已竣工", "项目总投资", "已投入资金"], *CAM]:
        cam.append(row)
    for row in [["消费扶贫周报表"], head, ["销售渠道", "采购销售金额", "惠及贫困人口"], ["单位采购", 10.5, 100]]:
        cop.append(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)


CAM: list[list] = []


@pytest.fixture
def returned(connection, settings, tmp_path):
    """A file of two forms, received and loaded: one accepted, the other returned for CAM-001. Late, too."""
    from ingestion.contracts import contracts

    form = contracts().form("CAM01")
    CAM[:] = [[labels[0], 10, 5, 3, 100, 50] for labels in form.key.values.values()]
    CAM[0][2] = 12  # more started than planned
    workbook(tmp_path / "收件" / "周报.xlsx")
    receive(connection, settings, tmp_path / "收件")
    connection.execute("update intake.file set received_at = '2020-06-18T09:00+08:00'")
    connection.commit()
    load(connection, settings, workers=0)
    return connection


def states(connection):
    return connection.execute("select form, version, state, rows_loaded > 0, received_at = '2020-06-18T09:00+08:00' from intake.submission order by submission_id").fetchall()


def test_granting_finds_the_returned_form_and_reading_again_makes_its_next_version(returned, settings, tmp_path):
    assert states(returned) == [("CAM01", 1, "returned", False, True), ("COP03", 1, "late", True, True)]
    number = waive(returned, "CAM-001", "CAM01")
    (found,) = returned_under(returned, number, settings)
    assert (found.form, found.county_code, found.week) == ("CAM01", COUNTY, WEEK)
    shutil.rmtree(tmp_path / "收件")  # the archived original is read
    result = read_again(returned, settings, [found], workers=0)
    assert (dict(result.states), result.rows_rejected) == ({"late": 1}, 0)
    assert states(returned)[2:] == [("CAM01", 2, "late", True, True)]
    assert returned.execute("select outcome from intake.file").fetchone() == ("loaded",)
    findings = returned.execute("select s.version, f.rule_id, f.status from quality.finding f join intake.submission s using (submission_id) order by 1").fetchall()
    assert findings == [(1, "CAM-001", "resolved"), (2, "CAM-001", "waived")]
    assert returned_under(returned, number, settings) == []
    assert archived(settings, returned.execute("select sha256 from intake.file").fetchone()[0]).is_file()


def test_a_form_that_was_sent_again_meanwhile_is_left_alone(returned, settings):
    number = waive(returned, "CAM-001", "CAM01")
    load_readings(returned, settings, [file_of(returned, form_reading("CAM01", WEEK, {"project_kind": ["school"]}), at="2020-06-19T09:00+08:00")])
    assert returned_under(returned, number, settings) == []


def test_a_waiver_that_had_run_out_when_the_file_came_offers_nothing(returned, settings):
    number = waive(returned, "CAM-001", "CAM01", expires_on=dt.date(2020, 6, 17))  # had run out when the file came
    assert returned_under(returned, number, settings) == []


def test_on_the_command_line(returned, settings, monkeypatch):
    from warehouse.cli import main

    monkeypatch.setenv("WAREHOUSE_HOME", str(settings.home))
    monkeypatch.setenv("WAREHOUSE_URL", settings.url)
    returned.commit()
    arguments = ["--rule", "CAM-001", "--county", COUNTY, "--form", "cam01", "--from", WEEK, "--to", WEEK, "--by", "李主任", "--reason", "追加项目", "--expires"]
    bad = CliRunner().invoke(main, ["waive", *arguments, "soon"])
    assert bad.exit_code == 2 and "no date" in bad.stderr
    granted = CliRunner().invoke(main, ["waive", *arguments, "2020-06-30"])
    assert granted.exit_code == 0 and "1 forms stand returned" in granted.stdout and "--read-again 1" in granted.stdout
    again = CliRunner().invoke(main, ["waivers", "--read-again", "1"])
    assert again.exit_code == 0 and "1 of 1" in again.stdout
    listed = CliRunner().invoke(main, ["waivers"])
    assert "CAM-001" in listed.stdout and "追加项目" in listed.stdout and "1 findings" in listed.stdout
