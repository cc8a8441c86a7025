"""EXI-002: every code of the list exactly once."""

from ingestion.contracts import contracts
from tests.rules.builder import found

CODES = list(contracts().form("EXI01").key.values)


def of_codes(*keys):
    return [(f.row_key, f.field, f.cell) for f in found("EXI-002", "EXI01", *({"criterion": k} for k in keys))]


def test_pass():
    assert of_codes(*reversed(CODES)) == []


def test_missing_has_no_cell():
    assert of_codes(*CODES[:-1]) == [(CODES[-1], "criterion", "")]


def test_twice_is_found_at_the_second():
    assert of_codes(*CODES, CODES[0]) == [(CODES[0], "criterion", f"A{5 + len(CODES)}")]


def test_an_unreadable_label_may_stand_for_the_missing_one():
    assert of_codes(None, *CODES[1:]) == []
