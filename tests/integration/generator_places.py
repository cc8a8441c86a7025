"""Where the demonstration's generator wrote a figure: file, member, sheet and cell, worked out from its own sheets.

Nothing here knows how a workbook is read; it is what a trace's answer is compared with.
"""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass

from demo import workbooks
from demo.generate import DemoSet
from demo.places import load_counties
from demo.sheets import Sheet, build_sheet
from demo.styles import HouseStyle, assign

SEED, YEAR = 2020, 2020


@dataclass(frozen=True)
class Place:
    """``files``: every path under which the generator sent that form of that county and week, the corrections too."""

    files: tuple[str, ...]
    member: str
    sheet: str
    cell: str


@functools.cache
def styles() -> dict[str, HouseStyle]:
    return assign(load_counties(YEAR), SEED)


class Places:
    def __init__(self, demo: DemoSet):
        self.demo, self._sheets = demo, {}
        self.counties = {c.code: c for c in load_counties(YEAR)}

    def sheet(self, form: str, county: str, week: str) -> Sheet:
        if (form, county, week) not in self._sheets:
            as_of = dt.date.fromisocalendar(int(week[:4]), int(week[6:]), 7)
            self._sheets[form, county, week] = build_sheet(form, self.counties[county], as_of, self.demo.values[form, county, week], styles()[county])
        return self._sheets[form, county, week]

    def of(self, form: str, county: str, week: str, row: int, field: str) -> Place:
        """The place of a field in a row, counted from 0 in the order in which the county lists them."""
        sheet, style = self.sheet(form, county, week), styles()[county]
        files = tuple(f.path for f in self.demo.files if f.county_code == county and f.week == week and form in f.forms)
        member = workbooks.member_name(form, style) if files[0].endswith(".zip") else ""
        return Place(files, member, "" if style.medium == "csv" else sheet.name, sheet.address(row, field))
