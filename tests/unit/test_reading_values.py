"""Cells: numbers, money, rates, dates, codes, places, text; and what is told where they are none."""

import datetime as dt
from decimal import Decimal

import pytest

from ingestion.contracts import contracts
from ingestion.convert import Converter, mask
from ingestion.recognise import Recogniser
from ingestion.reference import codes
from tests.unit.reading_files import COP03_ROWS, cop03, csv_bytes, faults, head, read, read_rows
from tests.unit.test_reading_layout import SOC_ROWS, soc

CONVERTER = Converter(Recogniser(contracts()), codes(), None, None)


def sales(tmp_path, value, unit="人、万元", heading="采购销售金额"):
    rows = [["单位采购", value, 100], *COP03_ROWS[1:]]
    reading = read_rows(tmp_path, cop03(rows, ["销售渠道", heading, "惠及贫困人口"], unit=unit))
    return reading.values["sales"][0], reading


@pytest.mark.parametrize(
    ("written", "unit", "heading", "yuan"),
    [
        (14.775, "万元", "采购销售金额", "147750.00"),
        ("11.060225", "万元", "采购销售金额", "110602.25"),
        (0.1 + 0.2, "元", "采购销售金额", "0.30"),
        ("1,061.5", "元", "采购销售金额", "1061.50"),
        ("２０．７６７５", "万元", "采购销售金额", "207675.00"),
        ("12.5万元", "元", "采购销售金额（元）", "125000.00"),  # the cell beats heading and line
        ("500元", "万元", "采购销售金额（万元）", "500.00"),
        ("1.2亿元", "万元", "采购销售金额", "120000000.00"),
        (3, "元", "采购销售金额（亿元）", "300000000.00"),  # the heading beats the line
        (3, "人、千元", "采购销售金额", "3000.00"),
        ("0.0000005", "万元", "采购销售金额", "0.01"),  # half up to the fen
        (0, "万元", "采购销售金额", "0.00"),
    ],
)
def test_money_in_yuan(tmp_path, written, unit, heading, yuan):
    value, reading = sales(tmp_path, written, unit, heading)
    assert str(value) == yuan and not faults(reading)


def test_money_without_any_unit_is_not_guessed(tmp_path):
    _, reading = sales(tmp_path, 5, unit="人")
    assert faults(reading) == [("GEN-TYPE", "", "", "sales")]


@pytest.mark.parametrize(
    ("written", "value"),
    [(131, 131), (131.0, 131), ("131", 131), ("1,061人", 1061), ("１３１", 131), ("131 人", 131), ("1.2万人", 12000), ("0", 0), (" 7 ", 7), ("131.0", 131)],
)
def test_whole_numbers(tmp_path, written, value):
    reading = read_rows(tmp_path, cop03([["单位采购", 1, written], *COP03_ROWS[1:]]))
    assert reading.values["poor_persons_benefited"][0] == value and not faults(reading)


@pytest.mark.parametrize(
    ("written", "rule"),
    [(3.5, "GEN-TYPE"), ("12O", "GEN-TYPE"), ("详见附件", "GEN-TYPE"), ("12亩", "GEN-TYPE"), ("1,06", "GEN-TYPE"), (dt.date(2020, 6, 1), "GEN-TYPE"),
     (-1, "GEN-NEG"), ("-5人", "GEN-NEG"), ("", "GEN-REQ"), ("—", "GEN-REQ"), ("/", "GEN-REQ"), (" 无 ", "GEN-REQ"), ("#DIV/0!", "GEN-TYPE")],
)  # fmt: skip
def test_what_is_no_count(tmp_path, written, rule):
    path = tmp_path / "a.csv"
    path.write_bytes(csv_bytes(cop03([["单位采购", 1, written], *COP03_ROWS[1:]])))
    (reading,) = read(path).forms
    assert faults(reading) == [(rule, "C4", "procurement", "poor_persons_benefited")]
    (finding,) = (f for f in reading.findings if f.rule_id == rule)
    assert finding.row_no == 1 and finding.severity == "error" and "惠及贫困人口" in finding.message_zh
    assert reading.values["poor_persons_benefited"][0] is None


@pytest.mark.parametrize("name", ["payment_no", "head_name", "id_number", "village", "quantity", "amount", "paid_date", "bank_account_tail", "remark"])
@pytest.mark.parametrize("at", [0, 999, 1000, 1001, 2499])
def test_a_cell_of_a_long_column_is_what_it_is_alone(name, at):
    """Long columns are gone through in parts: what stands at their edges must not be taken for what stands elsewhere."""
    field = contracts().form("IND02").by_name[name]
    usual = {"quantity": [12.5, "1,200"], "amount": [300, "3万元"], "paid_date": ["2020-06-14", 43996], "village": ["达江村委会"]}.get(name, ["45100200", "周安玉"])
    for odd in (None, "", "—", " 两端 ", True, 3.0, "４５", "五", -1):
        cells = [usual[i % len(usual)] for i in range(2_500)]
        cells[at] = odd
        long, alone, others = (CONVERTER.column(field, some, "元") for some in (cells, [odd], usual))
        assert long.values[at] == alone.values[0] and type(long.values[at]) is type(alone.values[0])
        assert long.texts.get(at) == alone.texts.get(0) and long.problems.get(at) == alone.problems.get(0)
        assert long.blank == (None in long.values)
        assert all(long.values[i] == others.values[i % len(usual)] for i in range(2_500) if i != at)


def test_blank_is_not_zero(tmp_path):
    rows = [[*r] for r in SOC_ROWS]
    rows[0][4], rows[1][4] = 0, "—"
    reading = read_rows(tmp_path, soc(rows))
    assert reading.values["orphans"][:2] == [0, None] and faults(reading) == [("GEN-REQ", "E5", "451002002", "orphans")]


def test_source_text_only_where_it_differs(tmp_path):
    rows = [["单位采购", "10.5", 100], ["商超专柜", "20万元", "２００"], ["电商", 30, 300], ["展销活动", 40, 400]]
    reading = read_rows(tmp_path, cop03(rows))
    assert reading.source_text[:2] == [None, {"sales": "20万元", "poor_persons_benefited": "２００"}]
    assert reading.blocks[0].columns["sales"].factor == "10000"
    assert faults(reading) == [("GEN-VALUE", "A6", "", "channel")]


# Rates

FUN = ["资金类别", "下达资金", "到位资金", "支出资金"]
LINES = ["财政扶贫资金", "财政专项扶贫资金", "其中：中央", "自治区", "市级", "县级", "统筹整合财政涉农资金", "粤桂扶贫协作资金"]


def fun(tmp_path, rates, heading="支出率"):
    figures = [(200, 160), (100, 80), (40, 32), (30, 24), (20, 16), (10, 8), (50, 40), (50, 40)]
    rows = [[line, a, a, s, r] for line, (a, s), r in zip(LINES, figures, rates, strict=True)]
    return read_rows(tmp_path, [*head("扶贫资金支出进度周报表", unit="万元"), [*FUN, heading], *rows])


@pytest.mark.parametrize("heading", ["支出率", "支出进度（%）", "支出率（％）"])
@pytest.mark.parametrize("written", [80, "80", "80%", "80.0％", 0.8, "0.8"])
def test_declared_rate_by_our_own_figure(tmp_path, heading, written):
    reading = fun(tmp_path, [written] * 8, heading)
    assert [Decimal(v) for v in reading.values["spending_rate"]] == [Decimal("0.8")] * 8 and not faults(reading)


def test_wrong_declared_rate_keeps_the_scale_of_its_column(tmp_path):
    reading = fun(tmp_path, [8, 80, 80, 80, 80, 80, 80, 80])
    assert reading.values["spending_rate"][0] == Decimal("0.08") and not faults(reading)


def test_rate_on_a_zero_base_is_no_fault(tmp_path):
    rows = [[line, 0, 0, 0, "#DIV/0!"] for line in LINES]
    path = tmp_path / "a.csv"
    path.write_bytes(csv_bytes([*head("扶贫资金支出进度周报表", unit="万元"), [*FUN, "支出率"], *rows]))
    (reading,) = read(path).forms
    assert reading.rows == 8 and not faults(reading) and reading.values["spending_rate"] == [None] * 8


VILLAGE = ["贫困村", "达标项数", "未达标项数", "剩余贫困人口"]


def exi02(tmp_path, rates, heading):
    villages = [codes().place_name(v) for v in codes().villages_of("451026")[:3]]
    rows = [[v, 9, 3, 47, r, "是"] for v, r in zip(villages, rates, strict=True)]
    return read_rows(tmp_path, [*head("未出列贫困村“十一有一低于”进展表", "那坡县"), [*VILLAGE, heading, "是否挂牌督战"], *rows])


@pytest.mark.parametrize(("heading", "rates"), [("贫困发生率（%）", [1.32, "11.44", "1.32%"]), ("贫困发生率", ["1.32%", "11.44％", "1.32%"])])
def test_stock_rate_by_heading_or_sign(tmp_path, heading, rates):
    reading = exi02(tmp_path, rates, heading)
    assert reading.values["incidence"] == [Decimal("0.0132"), Decimal("0.1144"), Decimal("0.0132")] and not faults(reading)
    assert reading.values["is_listed"] == [True] * 3


def test_stock_rate_that_nothing_decides(tmp_path):
    reading = exi02(tmp_path, [1.32, 0.9, 2], "贫困发生率")
    assert faults(reading) == [("GEN-RATE", "", "", "incidence")]


# Dates, codes, places, text


def ledger(tmp_path, **cells):
    heading = {"问题编号": "WT-1", "问题来源": "暗访", "问题方面": "产业", "问题描述": "不完善", "反馈日期": "2020-03-01", "整改时限": "2020-07-01", "整改状态": "未整改", "销号日期": "—"}
    row = heading | cells
    path = tmp_path / "a.csv"
    path.write_bytes(csv_bytes([*head("问题整改台账"), list(row), list(row.values())]))
    (reading,) = read(path).forms
    return {n: v[0] for n, v in reading.values.items()}, reading


@pytest.mark.parametrize("written", ["2020年3月5日", "2020.3.5", "2020/3/5", "2020-03-05", "20200305", "3月5日", "43895", "2020-03-05 00:00:00", "２０２０年３月５日"])
def test_dates(tmp_path, written):
    values, reading = ledger(tmp_path, 反馈日期=written)
    assert values["found_date"] == dt.date(2020, 3, 5) and not faults(reading)


@pytest.mark.parametrize("written", [dt.date(2020, 3, 5), dt.datetime(2020, 3, 5, 10, 30), 43895, 20200305])
def test_dates_as_cells(tmp_path, written):
    heading = ["编号", "日期", "类型", "主题", "层级"]
    reading = read_rows(tmp_path, [*head("调度会与督导台账"), heading, ["DD-1", written, "督导", "综合", "县级"]])
    assert reading.values["event_date"] == [dt.date(2020, 3, 5)] and not faults(reading)


@pytest.mark.parametrize("written", ["2020-13-45", "2020-02-30", "近期", "2020年3月", "12"])
def test_impossible_dates(tmp_path, written):
    assert faults(ledger(tmp_path, 反馈日期=written)[1]) == [("GEN-TYPE", "E4", "WT-1", "found_date")]


@pytest.mark.parametrize("written", ["11月20日", "11.20", "6/15", "6月15日"])
def test_a_day_without_a_year_that_cannot_have_come_yet_is_not_guessed(tmp_path, written):
    """Last year's, or a slip: nothing tells. What is set for the future is of this year."""
    _, reading = ledger(tmp_path, 反馈日期=written)
    assert faults(reading) == [("GEN-TYPE", "E4", "WT-1", "found_date")] and "年份" in reading.findings[0].expected
    values, reading = ledger(tmp_path, 整改时限=written)
    assert values["due_date"].year == 2020 and not faults(reading)
    values, reading = ledger(tmp_path, 反馈日期="2019年11月20日")
    assert values["found_date"] == dt.date(2019, 11, 20) and not faults(reading)


@pytest.mark.parametrize(("written", "day"), [("1月2日", dt.date(2021, 1, 2)), ("12月31日", dt.date(2020, 12, 31)), ("1月4日", dt.date(2020, 1, 4)), ("2月29日", dt.date(2020, 2, 29))])
def test_a_day_without_a_year_in_a_week_that_ends_in_the_next(written, day):
    """2020-W53 ends on 3 January 2021."""
    converter = Converter(Recogniser(contracts()), codes(), None, "2020-W53")
    assert converter.column(contracts().form("DIS01").by_name["event_date"], [written]).values == [day]


@pytest.mark.parametrize(
    ("field", "heading", "written", "code"),
    [
        ("source", "问题来源", "中央脱贫攻坚专项巡视\"回头看\"", "central_inspection"),
        ("source", "问题来源", " 一对一 作战排查", "one_to_one"),
        ("status", "整改状态", "已 销 号", "verified"),
        ("aspect", "问题方面", "（一）产业", "industry"),
    ],
)
def test_codes_by_their_labels(tmp_path, field, heading, written, code):
    values, reading = ledger(tmp_path, **{heading: written})
    assert values[field] == code and not faults(reading)


@pytest.mark.parametrize("mark", ["—", "－－", "——", "/", "／", "无", "　无　", "\u200b", "“—”", " / ", "\u00a0", "\n", "① —"])
def test_a_mark_for_nothing_in_any_width(mark):
    assert CONVERTER.is_blank(mark)


@pytest.mark.parametrize("text", ["无锡", "无 锡", "无丨", "ｎ／ａ", "〇", "丶", "0", "〇无", "无" * 9, "。"])
def test_a_text_that_only_looks_like_nothing_stays(text):
    assert not CONVERTER.is_blank(text)


@pytest.mark.parametrize("text", ["=cmd|'/c calc'!A0", "  两端空白  ", "“引号”，逗号", "第1行\n第2行"])
def test_text_is_kept(tmp_path, text):
    values, reading = ledger(tmp_path, 问题描述=text)
    assert values["description"] == text.strip() and not faults(reading)


def test_identifiers(tmp_path):
    assert ledger(tmp_path, 问题编号=" ＷＴ１ ")[0]["finding_no"] == "WT1"
    heading = ["编号", "日期", "类型", "主题", "层级"]
    reading = read_rows(tmp_path, [*head("调度会与督导台账"), heading, [1024.0, "2020-6-12", "督导", "综合", "县级"]])
    assert reading.values["event_no"] == ["1024"]


@pytest.mark.parametrize("name", ["汪甸瑶族乡", "汪甸乡", "　汪甸乡 ", "右江区汪甸乡", "7.汪甸乡"])
def test_townships_by_official_and_short_names(tmp_path, name):
    rows = [[name if r[0] == "汪甸瑶族乡" else r[0], *r[1:]] for r in SOC_ROWS]
    assert not faults(read_rows(tmp_path, soc(rows)))


def test_place_that_is_no_known_variant_gets_offers(tmp_path):
    rows = [["汪甸镇" if r[0] == "汪甸瑶族乡" else r[0], *r[1:]] for r in SOC_ROWS]
    reading = read_rows(tmp_path, soc(rows))
    assert faults(reading) == [("GEN-PLACE", "A10", "", "township")]
    assert "汪甸瑶族乡" in next(f.message_zh for f in reading.findings if f.rule_id == "GEN-PLACE")


def test_code_lists():
    lists = codes()
    june = dt.date(2020, 6, 14)
    assert lists.village("六苜村", None) == lists.village("六苜村委会", None) is not None
    assert lists.village("百胜社区", "451002") == lists.village("百胜社区居委会", "451002") == "451002001001"
    assert lists.county("平果县", june) == "451082" and lists.county("平果市", dt.date(2019, 6, 1)) == "451023"
    assert lists.county("东兰县", june) is None and lists.township("四塘镇", "451082") != lists.township("四塘镇", "451002")
    assert lists.counties_in("附件1 那坡镇周报", june) == [] and lists.counties_in("田阳第24周", june) == ["451003"]
    assert lists.subsidy_cap("451031", june) == 6000 and lists.subsidy_cap("451002", june) == 5000 and lists.subsidy_cap("451002", dt.date(2021, 1, 1)) is None
    assert lists.spending_target(june) == Decimal("0.25") and lists.spending_target(dt.date(2020, 6, 30)) == Decimal("0.50")
    assert lists.spending_target(dt.date(2020, 2, 1)) is None and "45" in lists.provinces and "00" not in lists.provinces
    ambiguous = "平安村"
    assert lists.village(ambiguous, "451031") is None and lists.ambiguous("village", ambiguous, "451031")


def test_personal_data_is_masked(tmp_path):
    assert mask("451002197504050159") == "451***********0159" and mask("潘安") == "潘*"
    heading = ["户编号", "行政村", "户主姓名", "身份证号", "家庭人口", "对象类别", "预警级别", "审议阶段", "风险原因", "纳入日期"]
    row = ["JC1", "百胜社区", "", "451002197504050158", 3, "边缘易致贫户", "蓝色", "县级审定", "因学", "2020-05-01"]
    reading = read_rows(tmp_path, [*head("监测对象台账"), heading, row])
    assert ("GEN-REQ", "C4", "JC1", "head_name") in faults(reading)
    assert not any("451002197504050158" in f"{f.message_zh}{f.value}" for f in reading.findings)
