"""Names of places: an official name goes before another place's short form, in a county and everywhere."""

from ingestion.place_names import EVERYWHERE, Place, PlaceNames, village_variants

OWN, OTHER = "100001", "100002"
NAMES = PlaceNames([Place("v1", "六苜村委会", OWN), Place("v2", "六苜", OWN), Place("v3", "六苜社区居委会", OTHER), Place("v4", "品村村委会", OTHER)], village_variants)


def test_an_official_name_goes_before_a_variant():
    assert NAMES.find("六苜", OWN) == ["v2"] == NAMES.find("六苜", EVERYWHERE)
    assert NAMES.find("六苜村", OWN) == ["v1", "v2"]  # of either: nobody can tell


def test_a_county_has_its_own_names():
    assert NAMES.find("六苜", OTHER) == ["v3"]
    assert NAMES.find("品村", OWN) is None and NAMES.find("品村", EVERYWHERE) == ["v4"]
    assert NAMES.find("品村", "100003") is None
