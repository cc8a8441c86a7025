"""The places of a province or a nation that does not exist: ``python -m demo reference DIR --counties 100``.

The lists are those of ``ingestion/reference``; everything in them is made up, names as well as codes (4551… and up,
which no county has). A warehouse takes them with ``WAREHOUSE_REFERENCE=DIR`` or as the folder ``reference`` of its home.
"""

from __future__ import annotations

import csv
import itertools
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from ingestion import reference_files

# No character of a county's name is used in a township's or a village's, so that no name stands within another
COUNTY = ("云青碧苍翠紫丹银玉锦", "屏岚峦岭峰岗崖陵峡谷")
TOWNSHIP = ("松柏桐枫榆柳杉槐桂樟", "塘溪湾渡桥坪坝洲潭泉")
VILLAGE = ("上中下东西南北前后新", "庄寨坡冲寮屯堡垌弄塝")
COUNTIES_A_PREFECTURE = 20
FIRST_PREFECTURE = 4551
MOST = COUNTIES_A_PREFECTURE * 49  # prefectures 4551 to 4599
YEARS = range(2010, 2051)


def write_reference(folder: Path | str, counties: int = 100, townships: int = 10, villages: int = 8, seed: int = 2020) -> Path:
    """Write the lists of ``counties`` counties (at most 980), each with so many townships of so many villages (at most 100 each).

    Every third county leaves poverty only in 2050, so that it owes the forms on exit all the time. Raises ValueError.
    """
    if not 1 <= counties <= MOST or not 1 <= townships <= 100 or not 1 <= villages <= 100:
        raise ValueError(f"1 to {MOST} counties, of 1 to 100 townships, of 1 to 100 villages")
    folder, chance = Path(folder), random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with reference_files.files(reference_files.BUILT_IN)["industries"].open(encoding="utf-8-sig", newline="") as handle:
        industries = [row["industry_code"] for row in csv.DictReader(handle)]
    codes = [f"{FIRST_PREFECTURE + n // COUNTIES_A_PREFECTURE}{n % COUNTIES_A_PREFECTURE + 21:02d}" for n in range(counties)]
    stems = list(itertools.islice(_stems(*COUNTY), counties))
    places = [(code, f"{code}{n + 1:03d}", stem + ("镇" if n % 3 else "乡")) for code in codes for n, stem in enumerate(itertools.islice(_stems(*TOWNSHIP), townships))]
    _write(folder, "counties", "county_code county_name short_name valid_from valid_to successor_code exited_year source", (
        (code, f"{stem}县", stem, "1983-01-01", "", "", "2050" if n % 3 == 0 else "", "made up") for n, (code, stem) in enumerate(zip(codes, stems, strict=True))
    ))  # fmt: skip
    _write(folder, "townships", "township_code township_name county_code", ((code, name, county) for county, code, name in places))
    _write(folder, "villages", "village_code village_name township_code county_code", (
        (f"{township}{n + 1:03d}", f"{name[:2]}{stem}村委会", township, county)
        for county, township, name in places for n, stem in enumerate(itertools.islice(_stems(*VILLAGE), villages))
    ))  # fmt: skip
    _write(folder, "county_industries", "county_code tier industry_code", (
        (code, "county" if n < 5 else "village", industry) for code in codes for n, industry in enumerate(chance.sample(industries, 7))
    ))  # fmt: skip
    _write(folder, "subsidy_caps", "county_code valid_from valid_to cap_per_household_yuan source", [("*", f"{YEARS[0]}-01-01", f"{YEARS[-1]}-12-31", 5000, "made up")])
    _write(folder, "spending_targets", "year month_end target_rate source", (
        (year, f"{year}-{end}", share, "made up") for year in YEARS for end, share in (("03-31", 0.25), ("06-30", 0.5), ("09-30", 0.75), ("12-31", 0.92))
    ))  # fmt: skip
    _write(folder, "retired_codes", "address_code name successor_code source", [])
    _write(folder, "calendar_exceptions", "week county_code due_at source", [])
    return folder


def _stems(first: str, second: str) -> Iterator[str]:
    """Two characters, then three, each once."""
    for length in itertools.count(1):
        yield from ("".join(parts) for parts in itertools.product(first, *[second] * length))


def _write(folder: Path, name: str, header: str, rows: Iterable[tuple]) -> None:
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as handle:
        out = csv.writer(handle, lineterminator="\n")
        out.writerow(header.split())
        out.writerows(rows)
