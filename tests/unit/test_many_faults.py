"""A column that is wrong from top to bottom: told as far as anybody can mend it, and counted to the end."""

from __future__ import annotations

import pytest

from ingestion import model
from ingestion.reading import read_file
from tests.unit.reading_files import COP03, RECEIVED, csv_bytes, head

CHANNELS = ["单位采购", "商超专柜", "电商平台"]


@pytest.fixture
def read(tmp_path, monkeypatch):
    monkeypatch.setattr(model.Told, "MOST", 3)

    def read(*rows, heading=COP03):
        path = tmp_path / "a.csv"
        path.write_bytes(csv_bytes([*head(), heading, *rows]))
        (form,) = read_file(path, received_at=RECEIVED).forms
        return form

    return read


def test_what_is_not_told_one_by_one_is_counted(read):
    form = read(*[["单位采购", "1", "1"]] * 9)
    told = [f for f in form.findings if f.field == "channel" and f.row_no]
    rest = [f for f in form.findings if f.field == "channel" and f.row_no is None and "另有" in f.message_zh]
    assert [f.row_no for f in told] == [2, 3, 4] and len(rest) == 1 and "5处" in rest[0].message_zh and rest[0].severity == told[0].severity
    assert form.rows == 9 and not form.acceptable


def test_each_rule_and_field_has_its_own_count(read):
    form = read(*[[c, "x", "y"] for c in CHANNELS], *[[c, "x", "1"] for c in CHANNELS[:1] * 2])
    cells = [(f.rule_id, f.field) for f in form.findings if f.row_no]
    assert cells.count(("GEN-TYPE", "sales")) == 3 and cells.count(("GEN-TYPE", "poor_persons_benefited")) == 3
    assert [("sales", "2处" in f.message_zh) for f in form.findings if f.row_no is None and f.rule_id == "GEN-TYPE"] == [("sales", True)]


def test_as_many_as_may_be_told_leave_nothing_to_count(read):
    assert not [f for f in read(*[["单位采购", "1", "1"]] * 4).findings if "另有" in f.message_zh]


def test_rows_that_say_the_same_keep_their_own_texts(read):
    rows = [[CHANNELS[0], "1,000", "100", "甲"], [CHANNELS[1], "1,000", "1,00", ""], [CHANNELS[2], "2,000", "100", "甲"]]
    form = read(*rows, heading=[*COP03, "备注说明"])
    assert [e and e["备注说明"] for e in form.extra] == ["甲", None, "甲"]
    assert [t["sales"] for t in form.source_text] == ["1,000", "1,000", "2,000"]
