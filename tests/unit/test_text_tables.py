"""A long text table is read by another reader than a short one; both see the same cells."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion import text_tables
from ingestion.containers import Refusal, sheets_of

CELLS = st.text(st.sampled_from("0123456789.-%/—,;\t 无NA区镇①’'#\ufeff\u3000\\"), max_size=6)
LINES = st.lists(st.lists(CELLS, max_size=6), min_size=1, max_size=12)


def by_csv(data, encoding, delimiter=","):
    return text_tables.rows_of(data, encoding, delimiter, 512)


@settings(max_examples=60, deadline=None)
@given(LINES, st.sampled_from(["utf-8-sig", "gb18030"]), st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_the_reader_of_long_lists_sees_what_the_csv_module_sees(lines, encoding, delimiter, end, closed):
    text = end.join(delimiter.join(c.replace(delimiter, "") for c in line) for line in lines) + (end if closed else "")
    data = text.encode(encoding)
    expected = by_csv(data, encoding, delimiter)
    found = text_tables._plain_list(data, encoding, delimiter, 512)
    assert found is None or found == expected


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_an_ordinary_list_is_taken_by_the_reader_of_long_lists(encoding):
    data = "表\r\n单位：元,日期\r\n户编号,金额,备注\r\n001,1e3,NA\r\n002,,\r\n\r\n注：无\r\n".encode(encoding)
    found = text_tables._plain_list(data, encoding, ",", 512)
    assert found == by_csv(data, encoding)
    assert found[3] == ["001", "1e3", "NA"] and found[6] == ["注：无", "", ""]


@pytest.mark.parametrize("odd", ['a,"b\n",c\n', "a,b\rc,d\n", "a\x00,b\n", ",".join("x" * 600) + "\n"])
def test_what_they_might_see_differently_is_left_to_the_csv_module(odd):
    assert text_tables._plain_list(odd.encode(), "utf-8-sig", ",", 512) is None


def outcome(data):
    """The cells, or the sentence with which the file is refused."""
    try:
        return [row for grid in sheets_of(data) for row in grid.rows]
    except Refusal as refusal:
        return str(refusal)


HEAD, TAIL = "户编号,备注\n001,无\n", "\n003,无\n"
FITS, TOO_LONG, FAR_TOO_LONG = text_tables.MOST_CHARACTERS, text_tables.MOST_CHARACTERS + 1, 200_000  # the last: past the csv module's own limit


@pytest.fixture(params=["as a process begins", "moved by a library"])
def field_limit(request):
    before = csv.field_size_limit()
    csv.field_size_limit(before if request.param == "as a process begins" else 2**24)
    yield
    csv.field_size_limit(before)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("mark", ["x", "无"])
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("length", [FITS, TOO_LONG, FAR_TOO_LONG])
def test_a_long_cell_has_the_same_outcome_in_a_short_list_and_in_a_long_one(field_limit, monkeypatch, length, quote, mark, encoding):
    data = f"{HEAD}002,{quote}{mark * length}{quote}{TAIL}".encode(encoding)
    short = outcome(data)
    monkeypatch.setattr(text_tables, "LONG_LIST", 0)
    assert outcome(data) == short
    if length == FITS:
        assert short[2:] == [["002", mark * length], ["003", "无"]]
    else:
        assert short.startswith("第3行有一格超过 32,767 个字符")


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("rows", [3, 10_000, 30_000])
@pytest.mark.parametrize("end", ["", '006,"无",1\n'])  # never closed; closed by the next mark that was to open
def test_rows_swallowed_by_half_a_pair_of_quotation_marks_are_told(monkeypatch, end, rows, long):
    data = (HEAD + '002,"无\n' + "003,无\n" * rows + end).encode()
    monkeypatch.setattr(text_tables, "LONG_LIST", 0 if long else 2**30)
    assert outcome(data).startswith("第3行有")


@pytest.mark.parametrize("end", ["", "\n"])
def test_cells_of_the_last_row_that_were_swallowed_are_told(end):
    assert outcome(f"户编号,备注,人数,户主\n001,无,1,甲\n002,\"无,2,乙{end}".encode()).startswith("第3行有引号只有一半")


@pytest.mark.parametrize("cell, read", [('"两行\n一格"', "两行\n一格"), ('5"管', '5"管'), ('"他说""好"""', '他说"好"'), ('"甲"乙', "甲乙"), ('""', "")])
def test_quotation_marks_that_are_in_order_or_harmless_are_taken(cell, read):
    assert outcome(f"{HEAD}002,{cell}{TAIL}".encode())[2:] == [["002", read], ["003", "无"]]
