"""Write a half-year of made-up submissions: ``python -m demo.generate DIR``.

``DIR/backfill`` holds every week but the last, ``DIR/week<NN>`` the last one; each has an arrivals.csv (``path``,
``received_at``, in order of arrival, paths relative to its own folder). What must come of it is known here, without
reading a file: see `DemoSet`.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import os
import random
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from demo import workbooks
from demo.city import CountyYear, as_of_date, rate, week_name
from demo.faults import EVENTS, FAULTS, Misspelt, PlannedFault
from demo.places import County, load_counties, spending_targets
from demo.sheets import Edit, Sheet, Written, build_sheet, declared_parts
from demo.styles import HouseStyle, assign
from ingestion.contracts import contracts

SHANGHAI = dt.timezone(dt.timedelta(hours=8))  # no summer time
SLOW_LINES = (0.3, 0.3, 0.55)  # how much slower a fund line spends in that many counties
Key = tuple[str, str, str]  # form, county code, week


@dataclass(frozen=True)
class Expected:
    """A finding that reading or judging must bring. ``row_key`` is '' for totals, columns and pseudonymised rows."""

    rule_id: str
    severity: str
    form: str
    county_code: str
    week: str
    row_key: str
    field: str
    path: str  # relative to the demo's folder
    member: str
    sheet: str
    cell: str


@dataclass(frozen=True)
class DemoFile:
    path: str  # relative to the demo's folder
    received_at: dt.datetime
    county_code: str
    week: str  # the week it speaks of
    forms: tuple[str, ...]
    outcome: str = "loaded"  # loaded | partly_loaded | returned | refused | duplicate


@dataclass
class DemoSet:
    """Everything written, and the truth behind it.

    ``values``: (form, county code, week) → true rows of what must stand in the end as that county's own figures
    (types as in `FormReading.values`, declared rates worked out again); returned and missing forms are absent.
    ``status``: the reporting status of every form due. ``planted``: the faults of the last weeks. ``warnings``: what
    some counties carry along all the time.
    """

    folder: Path
    weeks: list[str] = field(default_factory=list)
    files: list[DemoFile] = field(default_factory=list)
    values: dict[Key, list[dict[str, Any]]] = field(default_factory=dict)
    status: dict[Key, str] = field(default_factory=dict)
    planted: list[Expected] = field(default_factory=list)
    warnings: list[Expected] = field(default_factory=list)

    @property
    def backfill(self) -> Path:
        return self.folder / "backfill"

    @property
    def last_week(self) -> Path:
        return self.folder / f"week{self.weeks[-1][-2:]}"

    def add(self, other: DemoSet) -> None:
        self.files += other.files
        self.planted += other.planted
        self.warnings += other.warnings
        self.values |= other.values
        self.status |= other.status


@dataclass(frozen=True)
class _Order:
    """What one worker writes: a county's weeks."""

    folder: Path
    place: int
    county: County
    style: HouseStyle
    lag: float
    year: int
    seed: int
    payouts: int
    weeks: tuple[int, ...]  # to be written; the figures of the weeks before are worked out all the same
    last: int  # the last week of the demo, that faults count back from
    flat: bool = False  # one week straight into the folder
    forms: tuple[str, ...] = ()
    faults: bool = True
    truth: bool = True


def write_demo(
    folder: Path | str, weeks: int = 26, seed: int = 2020, progress: Callable[..., None] | None = None, *,
    counties: int | None = None, year: int = 2020, payouts: int = 90, faults: bool = True, processes: int | None = None, truth: bool = True,
) -> DemoSet:  # fmt: skip
    """Write weeks 1 to ``weeks`` of a year. ``progress(what, done, total)`` after each county; ``payouts`` per county and week.

    Without ``truth`` nothing but the files is remembered: a province's rows fill gigabytes. Raises ValueError for fewer than two weeks or more than the year has.
    """
    if not 2 <= weeks <= as_of_date(year, 52).isocalendar().week:
        raise ValueError(f"weeks must be 2 to 52, not {weeks}")
    folder = Path(folder)
    demo = DemoSet(folder, [week_name(year, n) for n in range(1, weeks + 1)])
    orders = [replace(o, weeks=tuple(range(1, weeks + 1)), last=weeks, faults=faults, truth=truth) for o in _orders(folder, year, seed, payouts, counties)]
    for done, part in enumerate(_run(orders, processes), start=1):
        demo.add(part)
        if progress:
            progress("demo: counties", done, len(orders))
    demo.files.sort(key=lambda f: (f.received_at, f.path))
    for arrivals in (demo.backfill, demo.last_week):
        _write_arrivals(folder, arrivals, demo.files)
    return demo


def write_week(
    folder: Path | str, week: int = 24, *, counties: Iterable[str] | None = None, forms: Iterable[str] = (), year: int = 2020, seed: int = 2020,
    payouts: int = 90, faults: bool = False, last: int | None = None,
) -> DemoSet:  # fmt: skip
    """Write one week of some counties (codes; default all) and forms (default all) straight into a folder.

    The figures are those that `write_demo` gives for the same seed. ``faults`` plants those of ``week`` in a demo whose
    last week is ``last`` (default: this one); corrections that arrive a week later are left out.
    """
    folder = Path(folder)
    demo = DemoSet(folder, [week_name(year, week)])
    wanted = set(counties) if counties is not None else None
    for order in _orders(folder, year, seed, payouts, None):
        if wanted is None or order.county.code in wanted:
            demo.add(_write_county(replace(order, weeks=(week,), last=last or week, flat=True, forms=tuple(forms), faults=faults)))
    demo.files.sort(key=lambda f: (f.received_at, f.path))
    _write_arrivals(folder, folder, demo.files)
    return demo


def _orders(folder: Path, year: int, seed: int, payouts: int, count: int | None) -> list[_Order]:
    counties = load_counties(year)
    styles = assign(counties, seed)
    slow = random.Random(f"{seed}|slow").sample([c.code for c in counties], min(len(counties), len(SLOW_LINES)))
    lags = dict(zip(slow, SLOW_LINES, strict=False))
    return [
        _Order(folder, place, county, styles[county.code], lags.get(county.code, 1.0), year, seed, payouts, (), 0)
        for place, county in enumerate(counties[:count])
    ]


def _run(orders: list[_Order], processes: int | None) -> Iterable[DemoSet]:
    processes = min(2, os.cpu_count() or 1) if processes is None else processes
    if processes <= 1:
        yield from map(_write_county, orders)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(_write_county, orders)


def _write_arrivals(root: Path, folder: Path, files: list[DemoFile]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "arrivals.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(("path", "received_at"))
        for file in files:
            path = root / file.path
            if path.is_relative_to(folder):
                writer.writerow((path.relative_to(folder).as_posix(), file.received_at.isoformat()))


def _write_county(order: _Order) -> DemoSet:
    return _CountyWriter(order).write()


class _CountyWriter:
    def __init__(self, order: _Order):
        self.order, self.county, self.style = order, order.county, order.style
        self.course = CountyYear(order.county, order.year, order.seed, order.payouts, lag=order.lag)
        self.out = DemoSet(order.folder)

    def write(self) -> DemoSet:
        for week in self.order.weeks:
            self._week(week)
            if not self.order.truth:
                self.out.values, self.out.status, self.out.planted, self.out.warnings = {}, {}, [], []
        return self.out

    def _week(self, n: int) -> None:
        order = self.order
        rows = {form: r for form, r in self.course.week(n).items() if not order.forms or form in order.forms}
        before = self.course.week(n - 1) if n > 1 else {}
        back = order.last - n
        events = {e.kind: e for e in EVENTS if order.faults and e.style == self.style.key and e.weeks_before_last == back}
        planned = [f for f in FAULTS if order.faults and f.style == self.style.key and f.weeks_before_last == back and f.form in rows]
        as_of, late = as_of_date(order.year, n), "late" in events
        status = "missing" if "missing" in events else "late" if late else "on_time"
        self.out.status |= {self._key(form, n): status for form in rows}
        if "missing" in events:
            return
        edits = {f.form: self._edit(f, rows[f.form], before.get(f.form)) for f in planned}
        sheets = {form: build_sheet(form, self.county, as_of, r, self.style, edits.get(form, ())) for form, r in rows.items()}
        self.out.values |= {self._key(form, n): r for form, r in rows.items()}
        received = self._time(as_of, 3 if late else 1)
        files = self._send(sheets, n, received)
        for fault in planned:
            self._plant(fault, edits[fault.form], sheets[fault.form], files[fault.form], rows[fault.form], n)
        for form, r in rows.items():
            self._standing_warnings(form, r, sheets[form], files[form], n)
        if "html" in events and events["html"].form in files:
            self._spoil(events["html"].form, sheets, files, n)
        if "duplicate" in events:
            first = next(f for f in reversed(self.out.files) if f.path in files.values())
            self._again(first, n)
        for fault in planned:
            if fault.resent and not (order.flat and fault.resent[0] > 7):
                self._resend(fault, rows[fault.form], n)

    # -- files

    def _key(self, form: str, n: int) -> Key:
        return form, self.county.code, week_name(self.order.year, n)

    def _time(self, as_of: dt.date, days: int) -> dt.datetime:
        return dt.datetime.combine(as_of + dt.timedelta(days=days), dt.time(8, 40), SHANGHAI) + dt.timedelta(minutes=37 * self.order.place)

    def _folder(self, n: int, received: dt.datetime) -> str:
        """Where a file lies: with the week in whose days of delivery it came."""
        order = self.order
        delivery = n + (received.date() - as_of_date(order.year, n)).days // 8
        day = f"{received:%m-%d}"
        if order.flat:
            return day
        return f"week{delivery:02d}/{day}" if delivery == order.last else f"backfill/{week_name(order.year, delivery)}/{day}"

    def _send(self, sheets: dict[str, Sheet], n: int, received: dt.datetime, single: str = "") -> dict[str, str]:
        """Write forms; returns form → path."""
        folder, as_of = self._folder(n, received), as_of_date(self.order.year, n)
        names = {"county": self.county.name, "short": self.county.short, "year": self.order.year, "week": f"{n:02d}", "mmdd": f"{as_of:%m%d}"}
        written = workbooks.write_files(self.order.folder / folder, sheets, self.style, names, single=single)
        paths = {form: f"{folder}/{name}" for form, name in written.items()}
        for k, path in enumerate(dict.fromkeys(paths.values())):
            forms = tuple(form for form in paths if paths[form] == path)
            self.out.files.append(DemoFile(path, received + dt.timedelta(seconds=20 * k), self.county.code, week_name(self.order.year, n), forms))
        return paths

    def _amend(self, path: str, **changes: Any) -> None:
        self.out.files = [replace(f, **changes) if f.path == path else f for f in self.out.files]

    def _spoil(self, form: str, sheets: dict[str, Sheet], files: dict[str, str], n: int) -> None:
        path = files[form]
        inside = [f for f in files if files[f] == path]
        (self.order.folder / path).write_bytes(workbooks.html_as_xls(sheets[form]))
        for lost in inside:
            self.out.values.pop(self._key(lost, n), None)
            self.out.status[self._key(lost, n)] = "missing"
        self.out.warnings = [w for w in self.out.warnings if w.path != path]
        self.out.planted = [w for w in self.out.planted if w.path != path]
        self._amend(path, outcome="refused", forms=())

    def _again(self, first: DemoFile, n: int) -> None:
        """The same bytes once more, under the name that a mail program gives."""
        received = first.received_at + dt.timedelta(hours=5)
        name = Path(first.path)
        path = f"{self._folder(n, received)}/{name.stem}(2){name.suffix}"
        (self.order.folder / path).write_bytes((self.order.folder / first.path).read_bytes())
        self.out.files.append(replace(first, path=path, received_at=received, outcome="duplicate"))

    # -- faults

    def _edit(self, fault: PlannedFault, rows: list[dict], before: list[dict] | None) -> tuple[Edit, ...]:
        i = fault.row(rows)
        total = {f: sum(r[f] for r in rows) for f in (fault.field,)} if i == -1 else rows[i]
        last = None if i == -1 or not before else before[i] if i < len(before) else None
        value = fault.value(total, last)
        if isinstance(value, Misspelt):
            value = value.written({place.code: place.name for place in self.county.townships})
        return (Edit(i, fault.field, value),)

    def _plant(self, fault: PlannedFault, edits: tuple[Edit, ...], sheet: Sheet, path: str, rows: list[dict], n: int) -> None:
        (edit,) = edits
        key = self._key(fault.form, n)
        if fault.rule_id:
            self.out.planted.append(self._expected(fault.rule_id, fault.severity, sheet, path, rows, edit.row, fault.field, n))
        if fault.outcome == "returned" and not fault.resent:
            self.out.values.pop(key)
            self.out.status[key] = "returned"
        elif fault.outcome == "stands" and not fault.resent and not isinstance(edit.value, Written):
            declared = {f.name for f in contracts().form(fault.form).fields if f.kind == "declared"}
            if fault.field not in declared:  # declared rates are worked out again, whatever the county writes
                changed = {**rows[edit.row], fault.field: edit.value}
                self.out.values[key] = [*rows[: edit.row], _worked_out(fault.form, changed), *rows[edit.row + 1 :]]
        if fault.outcome == "returned":
            file = next(f for f in self.out.files if f.path == path)
            self._amend(path, outcome="returned" if len(file.forms) == 1 else "partly_loaded")

    def _resend(self, fault: PlannedFault, rows: list[dict], n: int) -> None:
        days, hour = fault.resent
        as_of = as_of_date(self.order.year, n)
        received = dt.datetime.combine(as_of + dt.timedelta(days=days), dt.time(hour, 5), SHANGHAI)
        sheet = build_sheet(fault.form, self.county, as_of, rows, self.style)
        self._send({fault.form: sheet}, n, received, "更正")
        due = dt.datetime.combine(as_of + dt.timedelta(days=2), dt.time(12), SHANGHAI)
        self.out.status[self._key(fault.form, n)] = "on_time" if received <= due else "corrected"

    def _standing_warnings(self, form: str, rows: list[dict], sheet: Sheet, path: str, n: int) -> None:
        """What a county carries along, week after week, and the warehouse must say each time."""
        as_of = as_of_date(self.order.year, n)
        found: list[tuple[str, int, str]] = []
        if form == "FUN01":
            target = [t for end, t in spending_targets(self.order.year) if end <= as_of][-1:]
            found += [("FUN-005", i, "spent") for i, r in enumerate(rows) for t in target if r["spent"] < t * r["arrived"]]
        elif form == "REL01":
            found += [("REL-005", i, "employed_households") for i, r in enumerate(rows) if r["employed_households"] != r["willing_households"]]
        elif form == "REC01":
            found += [("REC-003", i, "due_date") for i, r in enumerate(rows) if r["status"] in ("open", "in_progress") and r["due_date"] < as_of]
        self.out.warnings += [self._expected(rule, "warning", sheet, path, rows, i, name, n) for rule, i, name in found]
        if self.style.extra[0] == form:
            column = self._expected("GEN-COLUNK", "warning", sheet, path, rows, -1, self.style.extra[1], n)
            self.out.warnings.append(replace(column, field=""))

    def _expected(self, rule: str, severity: str, sheet: Sheet, path: str, rows: list[dict], row: int, name: str, n: int) -> Expected:
        key = contracts().form(sheet.form).key
        member = workbooks.member_name(sheet.form, self.style) if path.endswith(".zip") else ""
        return Expected(
            rule, severity, sheet.form, self.county.code, week_name(self.order.year, n),
            "" if row < 0 or key.pseudonymised else str(rows[row][key.name]), name, path, member,
            "" if self.style.medium == "csv" else sheet.name, sheet.address(row, name),
        )  # fmt: skip


def _worked_out(form: str, row: dict) -> dict:
    return row | {name: rate(row[part], row[whole]) for name, (part, whole) in declared_parts(form).items()}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m demo.generate", description="Write made-up weekly submissions of a city's counties.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weeks", type=int, default=26)
    parser.add_argument("--counties", type=int, help="the first so many, in order of their codes")
    parser.add_argument("--seed", type=int, default=2020)
    parser.add_argument("--year", type=int, default=2020)
    parser.add_argument("--payouts", type=int, default=90, help="subsidy payouts per county and week")
    given = parser.parse_args(arguments)
    since = time.monotonic()
    try:
        demo = write_demo(given.folder, given.weeks, given.seed, counties=given.counties, year=given.year, payouts=given.payouts)
    except ValueError as error:
        parser.error(str(error))
    size = sum((demo.folder / f.path).stat().st_size for f in demo.files)
    print(f"{len(demo.files)} files, {size / 1e6:.1f} MB, {sum(map(len, demo.values.values()))} rows, "
          f"{len(demo.planted)} planted faults in {time.monotonic() - since:.0f} s: {demo.folder}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
