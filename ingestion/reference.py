"""The codes: places, industries and dated limits, read from CSV files (`ingestion.reference_files`) without a database.

A name is matched exactly against the variants that follow from the official one (短称, dropped 民族 names, retired
names); nothing is ever matched by likeness. What is not a known variant gets the nearest names offered instead.
"""

from __future__ import annotations

import csv
import datetime as dt
import difflib
import functools
import re
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from ingestion import reference_files
from ingestion.place_names import (
    EVERYWHERE,
    PEOPLES,
    Place,
    PlaceNames,
    tidy,
    township_variants,
    village_variants,
)


@dataclass(frozen=True)
class County:
    code: str
    name: str
    short_name: str
    valid_from: dt.date
    valid_to: dt.date | None
    successor: str | None
    exited_year: int | None

    def stood_on(self, day: dt.date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


class Codes:
    """Every code list. Lookups take text as written and give a code, or None where it is no known variant."""

    def __init__(self, folder: Path | None = None):
        files = reference_files.files(folder)

        def read(name: str) -> list[dict[str, str]]:
            with files[name].open(encoding="utf-8-sig", newline="") as handle:
                return list(csv.DictReader(handle))

        self.counties = {
            r["county_code"]: County(
                r["county_code"], r["county_name"], r["short_name"], dt.date.fromisoformat(r["valid_from"]),
                _date(r["valid_to"]), r["successor_code"] or None, int(r["exited_year"]) if r["exited_year"] else None,
            )
            for r in read("counties")
        }  # fmt: skip
        self.townships = {r["township_code"]: Place(r["township_code"], r["township_name"], r["county_code"]) for r in read("townships")}
        self.villages = {
            r["village_code"]: Place(r["village_code"], r["village_name"], r["county_code"], r["township_code"]) for r in read("villages")
        }
        self.industries = {r["industry_code"]: r["industry_name"] for r in read("industries")}
        self.quantity_units = {r["industry_code"]: r["quantity_unit"] for r in read("industries")}
        self.provinces = {r["province_code"]: r["province_name"] for r in read("provinces")}
        self.retired_codes = {r["address_code"]: r["successor_code"] for r in read("retired_codes")}
        self._county_industries: dict[str, dict[str, str]] = defaultdict(dict)
        for r in read("county_industries"):
            self._county_industries[r["county_code"]][r["industry_code"]] = r["tier"]
        self._before = {c.successor: c.code for c in reversed(self.counties.values()) if c.successor}  # else every cell would look through all counties
        self._caps = [
            (r["county_code"], dt.date.fromisoformat(r["valid_from"]), _date(r["valid_to"]), Decimal(r["cap_per_household_yuan"]))
            for r in read("subsidy_caps")
        ]
        self._targets = sorted((dt.date.fromisoformat(r["month_end"]), Decimal(r["target_rate"])) for r in read("spending_targets"))
        self._industry_names = {tidy(name): code for code, name in self.industries.items()} | {c: c for c in self.industries}
        self._county_names = self._variants_of_counties()
        self._township_names = PlaceNames(self.townships.values(), township_variants)
        self._village_names = PlaceNames(self.villages.values(), self._variants_of_village)

    # Counties

    def _variants_of_counties(self) -> dict[str, str]:
        names: dict[str, str] = {}
        for county in self.counties.values():
            plain = PEOPLES.sub("", county.name).replace("自治县", "县")
            for variant in (county.code, county.name, plain, county.short_name):
                names.setdefault(tidy(variant), county.code)
        return names

    def county(self, text: str, on: dt.date | None = None) -> str | None:
        """Code of a county by official, short or retired name, as it stood on a date (default: as it stands now)."""
        code = self._county_names.get(tidy(text))
        return self.standing(code, on) if code else None

    def standing(self, code: str, on: dt.date | None = None) -> str:
        """The code that the same place had on a date: follows successors forwards, and back where ``on`` is earlier."""
        chain = [code]
        while successor := self.counties[chain[-1]].successor:
            chain.append(successor)
        while before := self._before.get(chain[0]):
            chain.insert(0, before)
        if on is None:
            return chain[-1]
        return next((c for c in reversed(chain) if self.counties[c].stood_on(on)), chain[-1])

    def counties_in(self, text: str, on: dt.date | None = None) -> list[str]:
        """Codes of the counties that a running text (a title, a file's name) names, in its order, each once.

        A bare short name counts only where it isn't part of a township's or village's name (那坡镇).
        """
        found = [self.standing(self._county_names[m.group(0)], on) for m in self._county_pattern.finditer(tidy(text))]
        return list(dict.fromkeys(found))

    @functools.cached_property
    def _county_pattern(self) -> re.Pattern:
        names = sorted((n for n in self._county_names if not n.isdigit()), key=len, reverse=True)
        shorts = {c.short_name for c in self.counties.values()}
        return re.compile("|".join(re.escape(n) + ("(?![镇乡村街社路])" if n in shorts else "") for n in names))

    def county_name(self, code: str) -> str:
        return self.counties[code].name if code in self.counties else code

    def counties_on(self, day: dt.date) -> list[str]:
        """Codes of the counties in being on a date."""
        return sorted(c.code for c in self.counties.values() if c.stood_on(day))

    # Townships and villages

    def township(self, text: str, county: str | None) -> str | None:
        """Code of a township of this county."""
        return self._place(self._township_names, text, county)

    def village(self, text: str, county: str | None) -> str | None:
        """Code of a village: of this county, or else the only one of that name in the city."""
        found = self._place(self._village_names, text, county)
        if found or self.ambiguous("village", text, county):
            return found
        name = self._without_county(text, county)
        everywhere = self._village_names.find(name, EVERYWHERE) or ()
        return everywhere[0] if len(everywhere) == 1 else None

    def _place(self, names: PlaceNames, text: str, county: str | None) -> str | None:
        found = self._named(names, text, county)
        return found[0] if len(found) == 1 else None

    def _named(self, names: PlaceNames, text: str, county: str | None) -> list[str]:
        """Codes of a name as it stands, or without the county's own name before it (some official names begin with that)."""
        home = self._home(county)
        return names.find(tidy(text), home) or names.find(self._without_county(text, county), home) or []

    def ambiguous(self, kind: str, text: str, county: str | None) -> bool:
        """The name stands for several places of the county, so that the township must be given with it."""
        names = self._township_names if kind == "township" else self._village_names
        return len(self._named(names, text, county)) > 1

    def _home(self, county: str | None) -> str:
        return self.standing(county) if county in self.counties else EVERYWHERE

    def _without_county(self, text: str, county: str | None) -> str:
        name = tidy(text)
        for variant, code in self._county_names.items():
            is_short = len(variant) == len(self.counties[code].short_name)
            if not is_short and len(name) > len(variant) and name.startswith(variant) and self.standing(code) == self._home(county):
                return name[len(variant) :]
        return name

    def _variants_of_village(self, place: Place) -> list[str]:
        own = village_variants(place)
        township = self.townships.get(place.township or "")
        return own + [t + v for t in township_variants(township) for v in own] if township else own

    def townships_of(self, county: str) -> list[str]:
        home = self._home(county)
        return [p.code for p in self.townships.values() if p.county == home]

    def villages_of(self, county: str) -> list[str]:
        home = self._home(county)
        return [p.code for p in self.villages.values() if p.county == home]

    def county_of(self, code: str | None) -> str | None:
        """County code of a village or township code; None for a code that is in no list."""
        place = self.villages.get(code or "") or self.townships.get(code or "")
        return place.county if place else None

    def place_name(self, code: str) -> str:
        place = self.villages.get(code) or self.townships.get(code)
        return place.name if place else code

    def nearest(self, kind: str, text: str, county: str | None, count: int = 3) -> list[str]:
        """Official names most like the text, for the message of a finding; never used to match."""
        if kind == "county":
            pool = [c.name for c in self.counties.values() if c.valid_to is None]
        elif kind == "industry":
            pool = list(self.industries.values())
        else:
            places = self.townships if kind == "township" else self.villages
            home = self._home(county)
            pool = [p.name for p in places.values() if p.county == home]
        return difflib.get_close_matches(tidy(text), list(dict.fromkeys(pool)), count, 0.3)

    # Industries and dated limits

    def industry(self, text: str) -> str | None:
        return self._industry_names.get(tidy(text))

    def industries_of(self, county: str) -> dict[str, str]:
        """Industry code → tier (county or village) of the county's 5+2 list."""
        return dict(self._county_industries.get(self._home(county), {}))

    def subsidy_cap(self, county: str | None, on: dt.date | None) -> Decimal | None:
        """Most that one household may be paid, in yuan; the county's own cap goes before the city's. None: no cap known."""
        if on is None:
            return None
        for who in (county, "*"):
            for code, first, last, cap in self._caps:
                if code == who and first <= on and (last is None or on <= last):
                    return cap
        return None

    def spending_target(self, on: dt.date | None) -> Decimal | None:
        """Share to be spent by the last month end not after a date, as a fraction, in the same year; None: no target."""
        if on is None:
            return None
        return next((rate for day, rate in reversed(self._targets) if day <= on and day.year == on.year), None)


def codes() -> Codes:
    """The code lists that hold, read once a process."""
    return _read_once(reference_files.folder())


@functools.cache
def _read_once(folder: Path) -> Codes:
    return Codes(folder)


def _date(text: str) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None
