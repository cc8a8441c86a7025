"""Another area's lists are laid over the project's own, and a province that does not exist reads like one that does."""

from __future__ import annotations

import datetime as dt

import pytest

from demo.generate import write_week
from demo.places import load_counties
from demo.reference import write_reference
from ingestion import reference_files
from ingestion.reading import read_file
from ingestion.reference import Codes, codes
from warehouse.settings import WarehouseError


@pytest.fixture
def province(tmp_path, monkeypatch):
    folder = write_reference(tmp_path / "reference", counties=130, townships=25, villages=12)
    monkeypatch.setenv("WAREHOUSE_REFERENCE", str(folder))
    return folder


def test_without_anything_said_the_projects_own_lists_hold(monkeypatch, tmp_path):
    monkeypatch.delenv("WAREHOUSE_REFERENCE", raising=False)
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    assert reference_files.folder() == reference_files.BUILT_IN
    (tmp_path / "reference").mkdir()
    assert reference_files.folder() == tmp_path / "reference"
    assert reference_files.files() == reference_files.files(reference_files.BUILT_IN)  # it holds no list of its own


def test_a_list_that_nobody_knows_and_half_of_the_places_are_refused(tmp_path, monkeypatch):
    (tmp_path / "counties.csv").write_text("county_code\n", encoding="utf-8")
    with pytest.raises(WarehouseError, match=r"lacks county_industries.csv, townships.csv, villages.csv"):
        reference_files.files(tmp_path)
    (tmp_path / "counties.csv").rename(tmp_path / "county.csv")
    with pytest.raises(WarehouseError, match=r"holds county.csv"):
        reference_files.files(tmp_path)
    monkeypatch.setenv("WAREHOUSE_REFERENCE", str(tmp_path / "nowhere"))
    with pytest.raises(WarehouseError, match="no folder"):
        reference_files.folder()


@pytest.mark.slow
def test_every_name_of_a_made_up_province_leads_to_its_own_code(province):
    known = codes()
    assert len(known.counties) == 130 and not known.counties.keys() & Codes(reference_files.BUILT_IN).counties.keys()
    for county in list(known.counties.values())[::13]:
        assert known.county(county.name) == known.county(county.short_name) == county.code
        assert known.counties_in(f"{county.name}扶贫工作周报") == [county.code]
        for code in known.townships_of(county.code):
            assert known.township(known.place_name(code), county.code) == code
        for code in known.villages_of(county.code):
            assert known.village(known.place_name(code), county.code) == code


@pytest.mark.slow
def test_a_made_up_county_sends_forms_that_are_read_without_a_fault(province, tmp_path):
    county = load_counties(2020)[77].code
    demo = write_week(tmp_path / "week", 24, counties=[county], payouts=9)
    read = [read_file(demo.folder / f.path, received_at=f.received_at) for f in demo.files]
    forms = [form for file in read for form in file.forms]
    assert {form.county_code for form in forms} == {county}
    assert {(form.form, form.county_code, form.week) for form in forms} == set(demo.values)
    assert not [f for file in read for f in file.findings] + [f for form in forms for f in form.findings if f.severity == "error"]
    assert sum(form.rows for form in forms) == sum(map(len, demo.values.values()))


def test_the_places_of_a_nation_are_told_apart(tmp_path):
    known = Codes(write_reference(tmp_path, counties=832, townships=2, villages=2))
    assert len({c.name for c in known.counties.values()}) == len({c.short_name for c in known.counties.values()}) == 832
    assert all(c.stood_on(dt.date(2020, 6, 30)) for c in known.counties.values())
