"""A long text table is read by another reader than a short one; both see the same cells."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion import text_tables

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
