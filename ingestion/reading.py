"""Read one file: containers → grids → layout → recognised forms → typed columns, each value with its cell.

No database is needed, nothing of the file is run, and every row ends either in a reading or in a finding.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from ingestion import contracts as project_contracts
from ingestion import reference
from ingestion.assemble import Assembly
from ingestion.checks import check_form
from ingestion.collector import uncollected
from ingestion.containers import MAX_FILE, Refusal, sheets_of
from ingestion.contract_model import Contracts, Form
from ingestion.convert import Converter
from ingestion.grid import Grid, a1, filled, is_empty, is_figure, plain, squeeze
from ingestion.layout import Segment, segments_of, settle_doubles, side_by_side
from ingestion.model import FileReading, Finding, FormReading
from ingestion.recognise import Recogniser
from ingestion.reference import Codes
from ingestion.weeks import NameHints, full_date_in, name_hints, sunday_of, title_against_week, week_in_block

ZONE = ZoneInfo("Asia/Shanghai")
_recognisers: dict[int, tuple[Contracts, Recogniser]] = {}


def read_file(
    path: Path | str, name: str | None = None, *, received_at: dt.datetime | None = None,
    contracts: Contracts | None = None, codes: Codes | None = None, data: Callable[[], bytes] | None = None,
) -> FileReading:  # fmt: skip
    """Everything in one file: forms with typed values, each with its findings, or the reason why it can't be read.

    ``name`` is the county's own name for the file (default: that of ``path``); it only supports the content.
    ``received_at`` (aware, or UTC) settles years that aren't written and tells weeks that have not come yet.
    ``data`` gives the file's bytes, where what lies at ``path`` is not them (a sealed original).
    Never raises for what a file holds; raises OSError where ``path`` itself can't be opened.
    """
    path = Path(path)
    held: list[bytes] = []  # emptied by the reader as soon as it has the cells: a long list is large enough without its text
    if data is None:
        size, digest = path.stat().st_size, hashlib.sha256()
        with path.open("rb") as handle:
            while chunk := handle.read(1 << 20):
                digest.update(chunk)
        if size <= MAX_FILE:
            held.append(path.read_bytes())
    else:
        held.append(data())
        size, digest = len(held[0]), hashlib.sha256(held[0])
    result = FileReading(name or path.name, digest.hexdigest(), size)
    if size > MAX_FILE:
        result.refusal_zh = f"文件超过 {MAX_FILE // 1024**2} MB，请分成几个文件报送。"
        return result
    contracts = contracts or project_contracts.contracts()
    reader = _Reader(result, _recogniser(contracts), codes or reference.codes(), _day(received_at))
    try:
        with uncollected():
            reader.read(held)
    except Refusal as refusal:
        result.refusal_zh = str(refusal)
        result.forms, result.findings, result.ignored_sheets = [], [], []
    return result


def _day(received_at: dt.datetime | None) -> dt.date | None:
    if received_at is None:
        return None
    aware = received_at if received_at.tzinfo else received_at.replace(tzinfo=dt.UTC)
    return aware.astimezone(ZONE).date()


def _recogniser(contracts: Contracts) -> Recogniser:
    known = _recognisers.get(id(contracts))
    if known is None or known[0] is not contracts:
        known = _recognisers[id(contracts)] = (contracts, Recogniser(contracts))
    return known[1]


@dataclass(slots=True)
class _Found:
    """A form on a sheet with what its title block says of county and week."""

    segment: Segment
    county: str | None = None
    county_text: str | None = None
    week: str | None = None
    stranger_to: str | None = None  # the county that sent every other form of the file


class _Reader:
    def __init__(self, result: FileReading, recogniser: Recogniser, codes: Codes, today: dt.date | None):
        self.result = result
        self.recogniser = recogniser
        self.codes = codes
        self.today = today

    def read(self, held: list[bytes]) -> None:
        rejected: list[tuple[str, str]] = []
        found: list[_Found] = []
        sheets = 0
        for grid in sheets_of(held.pop(), rejected):
            sheets += 1
            found += self._sheet(grid)
        for member, reason in rejected:
            self._rejected_member(member, reason)
        if not found and not self.result.findings and not sheets:
            raise Refusal("文件里没有工作表，请重新导出后报送。")
        if not found and not self.result.findings:
            raise Refusal("文件里没有可读取的报表（只有空表、隐藏表或填表说明），请检查后重新报送。")
        self._counties_and_weeks(found)
        groups = self._submissions(found)
        for group in groups:
            self._form(group, alone=len(groups) == 1)
        self._check_name()

    def _rejected_member(self, member: str, reason: str) -> None:
        if member.lower().endswith((".xlsx", ".xlsm", ".xls", ".csv", ".zip", ".et")):
            self.result.findings.append(Finding("GEN-FORM", "error", f"压缩包里的“{member}”无法读取：{reason}", member=member))
        else:
            self.result.ignored_sheets.append(member)

    # Sheets

    def _sheet(self, grid: Grid) -> list[_Found]:
        place = f"{grid.member}/{grid.name}".strip("/")
        if not grid.visible or not any(filled(r) for r in grid.rows):
            self.result.ignored_sheets.append(place)
            return []
        parts = side_by_side(grid, self.recogniser)
        segments = [s for part in parts for s in segments_of(part, self.recogniser)]
        known = [s for s in segments if s.form is not None]
        if known and self._is_instruction(grid) and not any(s.block.county or not is_empty(s.block.date) for s in known):
            self.result.ignored_sheets.append(place)  # 填表说明 with a sample of the table
            return []
        for segment in known:
            self._lost_form(segment)
        if not known:
            if self._is_instruction(grid) or not self._is_table(grid):
                self.result.ignored_sheets.append(place)
            else:
                self._unknown_form(grid, grid.rows, 0)
            return []
        for segment in segments:
            if segment.form is None and not self._is_instruction(grid):
                self._unknown_form(grid, grid.rows, 0)
        return [_Found(s) for s in known]

    def _lost_form(self, segment: Segment) -> None:
        """A second form right beside the first, on the same heading rows: told, for its rows are not read."""
        for table in segment.tables:
            loose = {c.col: c.levels for c in table.columns if c.field is None}
            for form in self.recogniser.contracts.forms:
                headings = self.recogniser.headings(form)
                if form.code == segment.form.code:
                    continue
                named = {f.name: col for col, f in headings.fields(loose).items() if f}
                if form.key.name in named and len(named) >= 3 and all(f.name in named for f in form.fields if f.required):
                    col = named[form.key.name]
                    self._unknown_form(segment.grid, [[""] * col + [form.zh]], table.bottom)
                    return

    def _is_instruction(self, grid: Grid) -> bool:
        words = self.recogniser.writing["ignored_sheets"]
        first = next((plain(r[c]) for r in grid.rows for c in filled(r)), "")
        return any(w in grid.name for w in words) or squeeze(first) in words or squeeze(first).startswith(tuple(w for w in words if len(w) >= 4))

    @staticmethod
    def _is_table(grid: Grid) -> bool:
        """Rows of several cells with figures among them."""
        wide = [r for r in grid.rows[:200] if len(filled(r)) >= 2]
        figures = sum(any(is_figure(c) for c in r) for r in wide)
        return len(wide) >= 3 and figures >= 2

    def _unknown_form(self, grid: Grid, rows: list, first: int) -> None:
        row, col = next(((i, c) for i, r in enumerate(rows) for c in filled(r)), (0, 0))
        title = plain(rows[row][col])
        self.result.findings.append(
            Finding(
                "GEN-FORM", "error", f"“{title}”不是本制度规定的报表，无法入库。请核对表名和列名，或不要报送此表。",
                member=grid.member, sheet=grid.name, cell=a1(first + row + 1, col), value=title,
            )
        )  # fmt: skip

    # County and week

    def _counties_and_weeks(self, found: list[_Found]) -> None:
        for item in found:
            block = item.segment.block
            item.week, _ = week_in_block(block, self.today)
            on = sunday_of(item.week) if item.week else self.today
            if block.county:
                item.county_text = block.county
                item.county = self._county(block.county, on)
            else:
                named = self.codes.counties_in(block.title, on)
                item.county, item.county_text = (named[0], block.title) if len(named) == 1 else (None, None)
        for item in found:
            hints = self._hints(item.segment.grid.member)
            if item.week is None:
                # a table without a title block goes on where another left off
                siblings = [f for f in found if f is not item and f.week]
                same = [f for f in siblings if f.segment.form is item.segment.form] or siblings
                weeks = {f.week for f in same}
                stated = not is_empty(item.segment.block.date)
                item.week = None if stated else weeks.pop() if len(weeks) == 1 else hints.week(self.today or self._year_of(item))
            if item.county is None and not item.county_text:
                siblings = [f for f in found if f is not item and f.county]
                same = [f for f in siblings if f.segment.form is item.segment.form] or siblings
                counties = {f.county for f in same}
                item.county = counties.pop() if len(counties) == 1 else hints.counties[0] if len(hints.counties) == 1 else None

        stated = Counter(f.county for f in found if f.county)
        if len(found) >= 4 and len(stated) == 2 and min(stated.values()) == 1:
            sender = stated.most_common(1)[0][0]
            for item in found:
                item.stranger_to = sender if item.county and item.county != sender else None

    def _county(self, text: str, on: dt.date | None) -> str | None:
        office = self.recogniser.office_of(text)
        code = self.codes.county(office, on)
        if code is None:
            named = self.codes.counties_in(office, on)
            code = named[0] if len(named) == 1 else None
        return code

    @staticmethod
    def _year_of(item: _Found) -> dt.date | None:
        return full_date_in(squeeze(item.segment.block.filled_on))

    def _hints(self, member: str) -> NameHints:
        own = name_hints(member or self.result.name, self.codes)
        if member:
            outer = name_hints(self.result.name, self.codes)
            own.counties = own.counties or outer.counties
            own.week_numbers = own.week_numbers or outer.week_numbers
            own.days = own.days or ([] if own.week_numbers else outer.days)
            own.year = own.year or outer.year
        return own

    def _submissions(self, found: list[_Found]) -> list[list[_Found]]:
        """One submission for each form, county and week, in the order in which they come."""
        groups: dict[tuple, list[_Found]] = {}
        for item in found:
            key = (item.segment.form.code, item.county or item.county_text, item.week)
            groups.setdefault(key, []).append(item)
        return list(groups.values())

    # One submission

    def _form(self, group: list[_Found], alone: bool) -> None:
        first = group[0]
        as_of = sunday_of(first.week) if first.week else None
        form = self.recogniser.contracts.form(first.segment.form.code, as_of)
        for item in group:
            if form is not item.segment.form:
                self._remap(item.segment, form)
        grid = first.segment.grid
        reading = FormReading(form.code, form.version, first.county, first.county_text, first.week, as_of, grid.member, grid.name)
        self.result.forms.append(reading)
        self._whole_form(reading, first)
        converter = Converter(self.recogniser, self.codes, reading.county_code, reading.week)
        assembly = Assembly(reading, form, [item.segment for item in group], self.recogniser, converter)
        assembly.fill()
        if alone:
            for item in group:
                item.segment.grid.rows = []  # nobody asks for its cells again
        if not reading.empty and not assembly.missing and reading.county_code and reading.week:
            check_form(reading, assembly.totals, form, self.codes)

    def _remap(self, segment: Segment, form: Form) -> None:
        """Read the headings by the version of the contract in force in the form's own week."""
        headings = self.recogniser.headings(form)
        for table in segment.tables:
            fields = headings.fields({c.col: c.levels for c in table.columns})
            for column in table.columns:
                column.field = fields[column.col]
            table.doubles.clear()
            settle_doubles(table, headings)
        segment.form = form

    def _whole_form(self, reading: FormReading, found: _Found) -> None:
        def tell(rule: str, message: str, value: str | None, expected: str | None = None) -> None:
            severity = self.recogniser.contracts.rules[rule].severity
            reading.findings.append(
                Finding(
                    rule, severity, message, reading.form, reading.county_code, reading.week,
                    member=reading.member, sheet=reading.sheet, value=value, expected=expected,
                )
            )  # fmt: skip

        if reading.county_code is None:
            text = reading.county_text
            nearest = self.codes.nearest("county", self.recogniser.office_of(text), None) if text else []
            offer = f"相近的名称有：{'、'.join(nearest)}。" if nearest else ""
            wrong = f"填报单位“{text}”不是本市的县（市、区）" if text else "没有写明填报单位"
            tell("GEN-COUNTY", f"{wrong}。请填写本县规范名称。{offer}", text, "本市所辖县（市、区）名称")
        elif found.stranger_to:
            sender = self.codes.county_name(found.stranger_to)
            tell("GEN-COUNTY", f"填报单位是{self.codes.county_name(reading.county_code)}，而同一文件的其他报表都是{sender}的，与报送单位不符。请核对后重报。", reading.county_text, sender)
        else:
            titles = self.recogniser.titles_of(found.segment.block)
            named = {c for t in titles for c in self.codes.counties_in(t)} if found.segment.block.county else set()
            if len(named) == 1 and (other := named.pop()) != self._code_now(reading.county_code):
                own, other = self.codes.county_name(reading.county_code), self.codes.county_name(other)
                tell("GEN-COUNTY", f"标题写的是{other}，填报单位是{own}，两者不符，无法判定是哪个县的数据。请改正后重报。", titles[0], own)
        if len(found.segment.years) > 1:
            named = "、".join(sorted({f"{y}年" for years in found.segment.years for y in years}))
            tell("GEN-WEEK", f"本表的几部分标题写的是不同的年份（{named}），无法判定以哪一年为准。请每个时期单独成表。", named)
        date_text = plain(found.segment.block.date) if not is_empty(found.segment.block.date) else None
        if reading.week is None:
            wrong = f"截至日期“{date_text}”不是有效的日期" if date_text else "没有写明截至日期"
            tell("GEN-WEEK", f"{wrong}，无法判定所属周。请填写所报周的周日日期，如 2020-06-14。", date_text, "所报周的周日日期")
        elif self.today is not None and sunday_of(reading.week) - dt.timedelta(days=6) > self.today:
            tell(
                "GEN-WEEK", f"截至日期在 {reading.week} 周，该周尚未到来（文件 {self.today} 收到）。请核对截至日期。",
                date_text or reading.week, f"不晚于 {self.today}",
            )  # fmt: skip
        elif date_text and (said := next((s for t in self._periods(found) if (s := title_against_week(t, reading.week))), None)):
            tell("GEN-WEEK", f"标题写的是{said}，截至日期“{date_text}”在 {reading.week} 周，两者不符，无法判定是哪一周的数据。请改正后重报。", said, reading.week)

    def _periods(self, found: _Found) -> list[str]:
        """What else of a title block speaks of the week: titles, and 周次."""
        block = found.segment.block
        return [*self.recogniser.titles_of(block), *([block.period] if block.period else [])]

    # The file's name

    def _check_name(self) -> None:
        """A name that speaks of another county, week or form than the content: told once for the file, the content holds."""
        against: list[tuple[FormReading, str, str]] = []
        for reading in self.result.forms:
            hints = self._hints(reading.member)
            if reading.county_code and hints.counties and self._code_now(reading.county_code) not in {self._code_now(c) for c in hints.counties}:
                said = "、".join(map(self.codes.county_name, hints.counties))
                against.append((reading, said, self.codes.county_name(reading.county_code)))
            if reading.week and (said := hints.contradicts_week(reading.week)):
                against.append((reading, said, reading.week))
        for reading in self.result.forms:
            named = self.recogniser.title_in((reading.member or self.result.name).replace("\\", "/").rsplit("/", 1)[-1])
            if named and named not in {r.form for r in self.result.forms if r.member == reading.member}:
                said, holds = (self.recogniser.contracts.form(code).zh for code in (named, reading.form))
                against.append((reading, said, holds))
        told: Counter[tuple[str, str, str]] = Counter((r.member, said, holds) for r, said, holds in against)
        done = set()
        for reading, said, holds in against:
            key = (reading.member, said, holds)
            if key in done:
                continue
            done.add(key)
            name = reading.member or self.result.name
            finding = Finding(
                "GEN-NAME", self.recogniser.contracts.rules["GEN-NAME"].severity,
                f"文件名“{name}”写的是{said}，表内是{holds}，以表内为准；请核对是否报错文件。",
                reading.form, reading.county_code, reading.week, reading.member, reading.sheet, value=said, expected=holds,
            )  # fmt: skip
            if told[key] == 1:
                reading.findings.append(finding)
            else:
                finding.form = None
                finding.sheet = ""
                self.result.findings.append(finding)

    def _code_now(self, code: str) -> str:
        return self.codes.standing(code)
