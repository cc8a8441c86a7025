"""What goes wrong in the last three weeks, planted on purpose, and what each fault must lead to.

A fault belongs to a house style, so that every kind of file has its share; which county that is follows from the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from demo.people import with_wrong_check_digit
from demo.sheets import Written

Rows = list[dict]


@dataclass(frozen=True)
class Misspelt:
    """A township taken for another kind of place: 凤梧乡 for 凤梧镇."""

    township_code: str

    def written(self, names: dict[str, str]) -> Written:
        """``names``: township code → official name, of the whole county."""
        name = names[self.township_code]
        stem = name.removesuffix("街道").removesuffix("镇").removesuffix("乡")
        return Written(next(stem + kind for kind in ("乡", "镇", "街道") if stem + kind not in names.values()))


@dataclass(frozen=True)
class PlannedFault:
    """One wrong cell. ``weeks_before_last``: 0 the last week, 1 the one before …

    ``row`` picks the row (-1: the total), ``value`` what is written there instead. ``outcome``: 'returned' or 'stands'
    (a warning, or a slip that no rule can see). ``resent`` is (days after the as-of date, hour) of the corrected form.
    """

    rule_id: str
    severity: str
    style: str
    weeks_before_last: int
    form: str
    field: str
    row: Callable[[Rows], int]
    value: Callable[[dict, dict | None], Any]  # (the row, the same row a week before) → what is written
    outcome: str = "returned"
    resent: tuple[int, int] | None = None


@dataclass(frozen=True)
class FileEvent:
    """Something that happens to a whole file or delivery: missing, late, duplicate, html, misnamed."""

    kind: str
    style: str
    weeks_before_last: int
    form: str = ""


def _first(rows: Rows) -> int:
    return 0


def _second(rows: Rows) -> int:
    return min(1, len(rows) - 1)


def _total(rows: Rows) -> int:
    return -1


def _where(test: Callable[[dict], bool]) -> Callable[[Rows], int]:
    return lambda rows: next((i for i, row in enumerate(rows) if test(row)), 0)


FAULTS = (
    # two weeks before the last
    PlannedFault("GEN-REQ", "error", "serials", 2, "CAM01", "planned", _where(lambda r: r["project_kind"] == "medical"), lambda r, _: None,
                 resent=(3, 10)),
    PlannedFault("MOL-001", "error", "csv_yuan", 2, "MON02", "id_number", _second, lambda r, _: Written(with_wrong_check_digit(r["id_number"])),
                 resent=(2, 9)),
    # last week's figure sent again: nobody can see it until the county corrects it a week later
    PlannedFault("", "", "formulas", 2, "COP03", "sales", _first, lambda r, before: before["sales"] if before else r["sales"], "stands", (8, 9)),
    # the week before the last
    PlannedFault("INL-001", "error", "grouped", 1, "IND02", "id_number", _second, lambda r, _: Written(with_wrong_check_digit(r["id_number"])),
                 resent=(8, 10)),
    PlannedFault("REL-004", "error", "old_excel", 1, "REL01", "facility_projects_completed", _first, lambda r, _: r["facility_projects_started"] + 2),
    PlannedFault("EPI-001", "error", "three_rows", 1, "EPI01", "resolved", _second, lambda r, _: r["affected"] + 40, resent=(2, 10)),
    # the last week
    PlannedFault("EMP-001", "error", "continued", 0, "EMP01", "employed_away", _second, lambda r, _: r["employed_away"] + 10),
    PlannedFault("SOC-002", "error", "by_hand", 0, "SOC01", "orphans", _total, lambda r, _: r["orphans"] + 3),
    PlannedFault("GEN-PLACE", "error", "unit_headings", 0, "REL01", "township", _first, lambda r, _: Misspelt(r["township"])),
    PlannedFault("MON-003", "warning", "formulas", 0, "MON01", "assisted_households", _where(lambda r: r["red_households"] > 0),
                 lambda r, _: r["red_households"] - 1, "stands"),
    PlannedFault("EMP-006", "warning", "grouped", 0, "EMP01", "rate_of_2019", _first, lambda r, _: r["rate_of_2019"] + Decimal("0.05"), "stands"),
    PlannedFault("EMP-008", "warning", "csv_yuan", 0, "EMP01", "employed_away_2019", _second, lambda r, _: r["employed_away_2019"] + 7, "stands"),
    PlannedFault("COP-007", "warning", "xlsx_zip", 0, "FUN01", "spent", _where(lambda r: r["fund_line"] == "cooperation"),
                 lambda r, _: r["spent"] + 10_000, "stands"),
)  # fmt: skip

EVENTS = (
    FileEvent("late", "csv_gb_zip", 1),
    FileEvent("duplicate", "xlsx_zip", 1),
    FileEvent("html", "old_excel", 0, "MON02"),
    FileEvent("missing", "csv_zip", 0),
)
