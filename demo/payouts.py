"""Payout lists of any length (IND02) of one made-up county office, without a fault in them: ``python -m demo payouts FILE --rows N``."""

from __future__ import annotations

import csv
import datetime as dt
import random
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import xlsxwriter

from demo import people
from demo.places import load_counties
from ingestion.contracts import contracts

WEEK, SUNDAY = "2020-W24", dt.date(2020, 6, 14)
RECEIVED = "2020-06-15T09:00:00+08:00"
CENT = Decimal("0.01")


def table(rows: int, seed: int = 24) -> Iterator[list]:
    """Title, title block, headings, then ``rows`` payouts; figures as numbers, dates as text."""
    county, chance = load_counties(2020)[0], random.Random(seed)
    fields = contracts().form("IND02").fields
    units = next(f for f in fields if f.name == "quantity_unit").values
    yield [contracts().form("IND02").zh]
    yield [f"填报单位：{county.name}", f"截至日期：{SUNDAY:%Y年%m月%d日}", "单位：元"]
    yield [f.zh for f in fields]
    days = [(SUNDAY - dt.timedelta(days=n)).isoformat() for n in range(7)]
    for n in range(rows):
        industry, rate = chance.choice(county.industries), chance.choice((100, 200, 500, 800))
        quantity = chance.randint(1, 2000) / 100
        amount = min((Decimal(str(quantity)) * rate).quantize(CENT, ROUND_HALF_UP), county.cap_yuan)
        yield [
            f"{county.code}{n:09d}", f"B{chance.randint(1, 60):03d}", chance.choice(county.villages).name, f"{county.code}{n:08d}",
            people.name(chance), people.id_number(chance.choice(county.address_codes), n), industry.name, quantity,
            units[industry.unit][0] if industry.unit in units else industry.unit, rate, float(amount), chance.choice(days),
            f"{chance.randrange(10_000):04d}", "",
        ]  # fmt: skip


def write_xlsx(path: Path, rows: int) -> Path:
    workbook = xlsxwriter.Workbook(path, {"constant_memory": True})
    sheet = workbook.add_worksheet("明细")
    for number, row in enumerate(table(rows)):
        sheet.write_row(number, 0, [None if cell == "" else cell for cell in row])
    workbook.close()
    return path


def write_csv(path: Path, rows: int) -> Path:
    with path.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows(table(rows))
    return path
