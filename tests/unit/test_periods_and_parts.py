"""Columns that say which week they are of, lines of a group, foot lines and parts of a table."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.unit.reading_files import COP03_ROWS, head, read_rows
from tests.unit.test_other_layouts import EMP01, MON01, clean, emp01_rows, mon01_rows, townships

SALES = [Decimal(105000), Decimal(200000), Decimal(300000), Decimal(400000)]
KEYED = ["A3:A4", "B3:C3", "D3:E3"]


# This week beside another one


@pytest.mark.parametrize(("this", "last"), [("本周", "上周"), ("本周数", "上周数"), ("本期", "上期"), ("（本周）", "较上周±")])
def test_this_weeks_figure_below_its_heading(tmp_path, this, last):
    upper, lower = ["销售渠道", "采购销售金额", "", "惠及贫困人口", ""], ["", last, this, last, this]
    rows = [[name, 1, money, 2, persons] for name, money, persons in COP03_ROWS]
    form = read_rows(tmp_path, [*head(), upper, lower, *rows], merges=KEYED)
    assert clean(form) and form.values["sales"] == SALES and form.values["poor_persons_benefited"] == [100, 200, 300, 400]


@pytest.mark.parametrize(("this", "last"), [("本周{}", "上周{}"), ("{}（本周）", "{}（上周）"), ("{}本周数", "{}上周数")])
def test_this_weeks_figure_in_a_heading_of_one_line(tmp_path, this, last):
    heading = ["乡镇", *[w.format(t) for t in EMP01[1:3] for w in (this, last)], *EMP01[3:8], this.format(EMP01[8]), *EMP01[9:]]
    rows = [[r[0], r[1], 1, r[2], 2, *r[3:]] for r in emp01_rows()]
    form = read_rows(tmp_path, [*head("就业扶贫周报表"), heading, *rows], name="就业.xlsx")
    missing = [f.field for f in form.findings if f.rule_id == "GEN-COLMISS"]
    assert missing == ["employed_away_2019"]  # nothing stands beside it
    assert set(form.values["labour_force"]) == {100} and set(form.values["employed_away"]) == {60}


@pytest.mark.parametrize("this", ["本期", "本周", "当周", "本周新增", "合计", "本年"])
def test_the_weeks_increment_is_no_running_total(tmp_path, this):
    upper, lower = ["销售渠道", "采购销售金额", "", "惠及贫困人口", ""], ["", this, "累计", this, "累计"]
    rows = [[name, 1, money, 2, persons] for name, money, persons in COP03_ROWS]
    form = read_rows(tmp_path, [*head(), upper, lower, *rows], merges=KEYED)
    assert form.values["sales"] == SALES if form.acceptable else {f.rule_id for f in form.findings if f.severity == "error"} == {"GEN-COLMISS"}
    assert form.acceptable or this in ("合计", "本年")  # total of what, year of what: not guessed


# Foot lines


@pytest.mark.parametrize("line", [["审核：农某", "", "制表：韦某"], ["填报单位负责人：陆某"], ["制表：韦某"], ["电话：0776-6000000"]])
def test_signatures_by_what_was_done(tmp_path, line):
    form = read_rows(tmp_path, [*head("防止返贫监测预警周报表"), MON01, *mon01_rows(int), line])
    assert form.findings == [] and form.rows == len(townships())
