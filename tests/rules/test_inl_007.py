"""INL-007: a payout's village belongs to the county that sends it."""

from ingestion.reference import codes
from tests.rules.builder import COUNTY, found

OWN, FOREIGN = (codes().villages_of(c)[0] for c in (COUNTY, "451031"))


def of(village):
    return found("INL-007", "IND02", {"payment_no": "F1", "village": village})


def test_pass():
    assert of(OWN) == []


def test_fail():
    (finding,) = of(FOREIGN)
    assert (finding.row_key, finding.field) == ("F1", "village")
    assert codes().county_name(COUNTY) in finding.expected


def test_not_evaluable():
    assert of(None) == []
