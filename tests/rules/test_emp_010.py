"""EMP-010: every township of the county exactly once."""

from ingestion.reference import codes
from tests.rules.builder import COUNTY, found

TOWNSHIPS = codes().townships_of(COUNTY)


def of_townships(*keys):
    return [(f.row_key, f.field, f.cell) for f in found("EMP-010", "EMP01", *({"township": k} for k in keys))]


def test_pass():
    assert of_townships(*TOWNSHIPS) == []


def test_missing_has_no_cell():
    assert of_townships(*TOWNSHIPS[1:]) == [(TOWNSHIPS[0], "township", "")]


def test_twice_is_found_at_the_second():
    assert of_townships(*TOWNSHIPS, TOWNSHIPS[3]) == [(TOWNSHIPS[3], "township", f"A{5 + len(TOWNSHIPS)}")]


def test_an_unreadable_name_may_stand_for_the_missing_one():
    assert of_townships(None, *TOWNSHIPS[1:]) == []
    assert [f[0] for f in of_townships(None, *TOWNSHIPS[2:])] == TOWNSHIPS[:2]


def test_not_evaluable_without_the_column_or_the_county():
    assert found("EMP-010", "EMP01", {"labour_force": 1}) == []
    assert found("EMP-010", "EMP01", {"township": TOWNSHIPS[0]}, county=None) == []
