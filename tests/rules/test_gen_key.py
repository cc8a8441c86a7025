"""GEN-KEY: the same key twice, in forms that have no rule of their own for it."""

from tests.rules.builder import found


def test_pass():
    assert found("GEN-KEY", "MON01", {"township": "451026100"}, {"township": "451026101"}) == []


def test_fail_at_the_second():
    (finding,) = found("GEN-KEY", "MON01", {"township": "451026100"}, {"township": "451026100"})
    assert (finding.row_key, finding.field, finding.cell, finding.severity) == ("451026100", "township", "A6", "error")


def test_a_household_number_is_not_told():
    (finding,) = found("GEN-KEY", "MON02", {"household_no": "JC4510260001"}, {"household_no": "JC4510260001"})
    assert "JC4510260001" not in finding.message_zh + finding.value


def test_forms_with_a_rule_of_their_own_keep_to_it():
    assert found("GEN-KEY", "EMP01", {"township": "451026100"}, {"township": "451026100"}) == []
    assert found("GEN-KEY", "COP02", {"trip_no": "T1"}, {"trip_no": "T1"}) == []


def test_not_evaluable():
    assert found("GEN-KEY", "MON01", {"township": None}, {"township": None}) == []
