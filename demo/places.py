"""The city's places and industries as the reference data have them, and the ways in which counties write them."""

from __future__ import annotations

import csv
import datetime as dt
import functools
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from ingestion import reference_files

NATIONALITIES = "壮族|瑶族|苗族|彝族|仡佬族|各族"


@dataclass(frozen=True)
class Place:
    code: str
    name: str
    township_code: str = ""  # of a village

    @property
    def short(self) -> str:
        """汪甸瑶族乡 → 汪甸乡; 六苜村委会 → 六苜村; 百胜社区居委会 → 百胜社区."""
        shorter = re.sub(rf"(?<=..)(?:{NATIONALITIES})+(?=乡$)", "", self.name)
        return re.sub(r"(?<=村)委会$|(?<=社区)居委会$", "", shorter)


@dataclass(frozen=True)
class Industry:
    code: str
    name: str
    unit: str
    tier: str


@dataclass(frozen=True)
class County:
    """A county in the reporting year with everything its office can name."""

    code: str
    name: str
    short: str
    former_name: str | None  # the name it gave up last, if that is recent
    exits_this_year: bool
    townships: tuple[Place, ...]
    villages: tuple[Place, ...]  # those whose name is unmistakable within the county and does not begin with the county's
    village_count: dict[str, int]  # by township, all of them
    industries: tuple[Industry, ...]
    cap_yuan: Decimal  # subsidy per household and year
    address_codes: tuple[str, ...]  # first six digits of its people's ID numbers, retired codes included


def load_counties(year: int, folder: Path | None = None) -> list[County]:
    """The counties in force on the last day of a year's first half, in order of their codes."""
    return list(_load(year, folder or reference_files.folder()))


@functools.cache
def _load(year: int, folder: Path) -> tuple[County, ...]:
    table = {name: _read(path) for name, path in reference_files.files(folder).items()}
    townships_of, villages_of = _by_county(table["townships"]), _by_county(table["villages"])
    on = dt.date(year, 6, 30).isoformat()
    names = {row["industry_code"]: row for row in table["industries"]}
    counties = []
    for row in sorted(table["counties"], key=lambda r: r["county_code"]):
        if not row["valid_from"] <= on <= (row["valid_to"] or "9999"):
            continue
        code = row["county_code"]
        before = [r for r in table["counties"] if r["successor_code"] == code and r["valid_to"] >= f"{year - 1}"]
        townships = [Place(r["township_code"], r["township_name"]) for r in townships_of[code]]
        villages = [Place(r["village_code"], r["village_name"], r["township_code"]) for r in villages_of[code]]
        spellings = Counter(s for v in villages for s in {v.name, v.short})
        industries = [
            Industry(r["industry_code"], names[r["industry_code"]]["industry_name"], names[r["industry_code"]]["quantity_unit"], r["tier"])
            for r in table["county_industries"]
            if r["county_code"] == code
        ]
        caps = [r for r in table["subsidy_caps"] if r["county_code"] in ("*", code) and r["valid_from"] <= on <= r["valid_to"]]
        cap = max(caps, key=lambda r: r["county_code"] != "*")["cap_per_household_yuan"]
        own_codes = {code, *(r["county_code"] for r in table["counties"] if r["successor_code"] == code)}
        retired = [r["address_code"] for r in table["retired_codes"] if r["successor_code"] in own_codes]
        counties.append(
            County(
                code=code,
                name=row["county_name"],
                short=row["county_name"] if len(row["county_name"]) <= 3 else row["short_name"] + "县",
                former_name=before[0]["county_name"] if before else None,
                exits_this_year=bool(row["exited_year"]) and int(row["exited_year"]) >= year,
                townships=tuple(townships),
                villages=tuple(v for v in villages if spellings[v.name] == spellings[v.short] == 1 and not v.name.startswith(row["county_name"])),
                village_count=dict(Counter(v.township_code for v in villages)),
                industries=tuple(industries),
                cap_yuan=Decimal(cap),
                address_codes=(*sorted(own_codes), *retired),
            )
        )
    return tuple(counties)


def _by_county(rows: list[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        found[row["county_code"]].append(row)
    return found


def spending_targets(year: int, folder: Path | None = None) -> list[tuple[dt.date, Decimal]]:
    """(month end, share of the money arrived that should be spent), in order."""
    rows = [r for r in _read(reference_files.files(folder)["spending_targets"]) if int(r["year"]) == year]
    return sorted((dt.date.fromisoformat(r["month_end"]), Decimal(r["target_rate"])) for r in rows)


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle))
