"""COP-006: each 小计 and the 合计 equal the sum of their rows."""

from tests.rules.builder import found, total

ROWS = (
    {"project_no": "P1", "fund_source": "guangdong", "spent": 100},
    {"project_no": "P2", "fund_source": "guangdong", "spent": 50},
    {"project_no": "P3", "fund_source": "social", "spent": 7},
)


def of_totals(*totals, rows=ROWS, **more):
    return [(f.cell, f.field, f.expected, f.difference) for f in found("COP-006", "COP01", *rows, totals=totals, **more)]


def test_pass_below_and_above_their_rows():
    assert of_totals(total("小计", 2, "guangdong", spent=150), total("小计", 3, "social", spent=7), total("合计", 3, spent=157)) == []
    assert of_totals(total("合计", 0, spent=157), total("广东省财政小计", 0, "广东省财政", spent=150), total("小计", 2, "社会帮扶", spent=7)) == []


def test_fail_in_the_subtotal():
    wrong = total("小计", 2, "guangdong", spent=160), total("小计", 3, "social", spent=7), total("合计", 3, spent=157)
    assert of_totals(*wrong) == [("X102", "spent", "150", "10")]


def test_fail_in_the_total():
    wrong = total("小计", 2, "guangdong", spent=150), total("小计", 3, "social", spent=7), total("合计", 3, spent=160)
    assert of_totals(*wrong) == [("X103", "spent", "157", "3")]


def test_one_cause_in_subtotal_and_total_is_one_finding():
    wrong = total("小计", 2, "guangdong", spent=160), total("小计", 3, "social", spent=7), total("合计", 3, spent=167)
    assert of_totals(*wrong) == [("X102", "spent", "150", "10")]


def test_a_subtotal_without_a_group_goes_by_its_place():
    assert of_totals(total("小计", 2, spent=150), total("小计", 3, spent=7)) == []
    assert of_totals(total("小计", 0, spent=150), total("小计", 2, spent=7)) == []
    assert of_totals(total("小计", 2, spent=151)) == [("X102", "spent", "150", "1")]


def test_figures_are_told_in_the_unit_of_the_column():
    rows = [r | {"spent": r["spent"] * 10000} for r in ROWS]
    assert of_totals(total("合计", 3, spent="1572500"), rows=rows, factor={"spent": "10000"}) == [("X103", "spent", "157", "0.25")]


def test_what_binary_fractions_add_is_no_difference():
    assert of_totals(total("合计", 3, spent="157.0000000001")) == []


def test_not_evaluable():
    rows = (ROWS[0] | {"spent": None}, *ROWS[1:])
    assert of_totals(total("小计", 2, "guangdong", spent=150), total("小计", 3, "social", spent=8), rows=rows) == [("X103", "spent", "7", "1")]
    assert of_totals(total("合计", 3, spent=1), rows=(ROWS[0], ROWS[0])) == []


def test_a_row_without_a_readable_group_may_be_the_one_that_is_lacking():
    rows = (ROWS[0], ROWS[1] | {"fund_source": None}, ROWS[2])
    assert of_totals(total("小计", 2, spent=150), total("小计", 3, spent=7), rows=rows) == []
    assert of_totals(total("小计", 2, "guangdong", spent=150), total("小计", 3, "social", spent=7), rows=rows) == []
    assert of_totals(total("小计", 2, "guangdong", spent=160), rows=rows) == []
