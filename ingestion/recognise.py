"""What a table is: its form by title and headings, its county and week by the title block. Contracts hold every word."""

from __future__ import annotations

import datetime as dt
import functools
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from ingestion.contracts import Contracts, Field, Form
from ingestion.grid import is_empty, plain, squeeze
from ingestion.units import Units

PERCENT = "%"
_BRACKET = re.compile(r"\((?:单位:)?([^()]{0,12})\)$")
_OTHER_BRACKETS = str.maketrans("[]【】〔〕{}", "()()()()")
_MONEY_BEHIND = re.compile(r"(?<![十百千万美港欧日])(亿元|万元|千元|元)$")
_WHICH = re.compile(r"^(?:其中[:,、]?|#)")
_GENERAL_PARENT = re.compile("(?:情况|规模|进展|指标|数)$")

# Dates as counties write them, and weeks
_FULL_DATE = re.compile(r"(?<!\d)(20\d\d|19\d\d)\s*[-./年]\s*(\d{1,2})\s*[-./月]\s*(\d{1,2})\s*[日号]?(?!\d)")
_PACKED_DATE = re.compile(r"(?<!\d)((?:20|19)\d\d)(\d\d)(\d\d)(?!\d)")
_MONTH_DAY = re.compile(r"(?<!\d)(\d{1,2})\s*月\s*(\d{1,2})\s*[日号]")
_WEEK_NAMED = re.compile(r"(?<!\d)(?:(20\d\d)\s*年?[-_\s]*)?(?:第\s*(\d{1,2})\s*[周期]|[Ww](?:[Ee][Ee][Kk])?\s*(\d{1,2}))(?!\d)")
_MONTH_DAY_PACKED = re.compile(r"(?<!\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?!\d)")
_UNTIL = re.compile(r"[-—–―－~～至到]+(?:(\d{1,2})[.月/])?(\d{1,2})[日号]?(?![\d年./月-])")  # the end of 2020年6月8日-14日, 2020.6.8-6.14
_DETACHED = re.compile(r"(?<!\d)\s+|\s+(?!\d)")
_YEAR = re.compile(r"(?<!\d)(20\d\d)\s*年")


def week_of(day: dt.date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"


def sunday_of(week: str) -> dt.date:
    return dt.date.fromisocalendar(int(week[:4]), int(week[6:]), 7)


def _any_of(words: list[str]) -> str:
    """A pattern for any of some words, longer ones first."""
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


# Headings


class FormHeadings:
    """The headings of one form: text → field. Weaker readings (without unit, without 其中) yield to stronger ones."""

    def __init__(self, form: Form, units: frozenset[str], other_periods: tuple[str, ...] = ()):
        self.form = form
        self._units = units
        self._other_periods = other_periods
        self._levels: tuple[dict[str, Field], ...] = ({}, {}, {})
        for level, reading in enumerate((lambda t: t, self.bare, lambda t: _WHICH.sub("", self.bare(t)))):
            taken: dict[str, set[str]] = {}
            for f in form.fields:
                for text in (f.zh, *f.aliases):
                    key = reading(squeeze(text))
                    taken.setdefault(key, set()).add(f.name)
                    self._levels[level].setdefault(key, f)
            if level:
                for key, names in taken.items():
                    if len(names) > 1:
                        del self._levels[level][key]

    def bare(self, text: str) -> str:
        """A squeezed heading without the unit behind it."""
        text = text.translate(_OTHER_BRACKETS)
        while (found := _BRACKET.search(text)) and (found.group(1) in self._units or not found.group(1)):
            text = text[: found.start()]
        return text[:-1] if text.endswith(PERCENT) and len(text) > 1 else text

    def find(self, text: str) -> Field | None:
        key = squeeze(text)
        if not key:
            return None
        bare = self.bare(key)
        exact, without_unit, without_which = self._levels
        found = exact.get(key) or without_unit.get(bare) or without_which.get(_WHICH.sub("", bare))
        if found is None and (behind := _MONEY_BEHIND.search(key)) and behind.start():  # 到位资金万元, 到位资金/万元
            found = exact.get(key[: behind.start()].rstrip(",、/:-"))
            return found if found and found.money else None
        return found

    def match(self, levels: list[str]) -> Field | None:
        """The field of a column whose headings, from the top down, are these."""
        if not levels:
            return None
        found = self._match(levels)
        if found is None or not any(w in squeeze(t) for t in levels[:-1] for w in self._other_periods):
            return found
        above = "".join(map(squeeze, levels[:-1]))
        named = (found.zh, *found.aliases)
        return found if all(any(w in n for n in named) for w in self._other_periods if w in above) else None

    def rank(self, levels: list[str], f: Field) -> int:
        """How well headings name a field: 0 by its official name, 1 by an alias, 2 in a weaker reading."""
        texts = {squeeze("".join(levels[start:])) for start in range(len(levels))}
        if squeeze(f.zh) in texts:
            return 0
        return 1 if texts & {squeeze(a) for a in f.aliases} else 2

    def _match(self, levels: list[str]) -> Field | None:
        leaf, above = levels[-1], levels[:-1]
        for start in range(len(above)):  # 2019年 above 外出务工人数 is not 外出务工人数
            if found := self._levels[0].get(squeeze("".join(levels[start:]))):
                return found
        found = self.find(leaf)
        if found or not above:
            return found
        bare = [self.bare(squeeze(t)) for t in levels]
        if bare[-1] in self._units or not bare[-1]:  # the lowest level says nothing but the unit
            return self._match(above)
        for start in range(len(levels) - 1):
            if found := self.find("".join(bare[start:])):
                return found
        parent = _GENERAL_PARENT.sub("", bare[-2])
        return self.find(parent + bare[-1]) or self.find(parent + "其中" + bare[-1])

    @functools.cached_property
    def words(self) -> frozenset[str]:
        return frozenset(k for level in self._levels for k in level)


class Recogniser:
    """Recognition with one set of contracts."""

    def __init__(self, contracts: Contracts):
        self.contracts = contracts
        self.writing = contracts.writing
        self.money = dict(self.writing["money_units"])
        self.unit_system = Units(self.writing)
        units = {*self.unit_system.words, *self.unit_system.scaled_words, *self.money, PERCENT}
        for form in contracts.forms:
            for f in form.fields:
                if f.name.endswith("unit"):
                    units |= {label for labels in f.values.values() for label in labels}
        self.units = frozenset(units)
        self._headings = {id(f): FormHeadings(f, self.units, tuple(self.writing["other_period_words"])) for f in contracts.forms}
        self.titles = sorted(((squeeze(t), f.code) for f in contracts.forms for t in (*f.titles, f.zh)), key=lambda t: -len(t[0]))
        self.known_words = frozenset().union(*(h.words for h in self._headings.values()))
        self._labels = {
            kind: re.compile(f"^(?:{_any_of(self.writing[kind + '_labels'])})(?:\\([^)]*\\))?(?::|$)")
            for kind in ("county", "date", "unit")
        }
        every = [w for kind in ("county_labels", "date_labels", "unit_labels", "filled_on_words") for w in self.writing[kind]]
        self._any_label = re.compile(f"(?:{_any_of(every)})(?:[(（][^)）]*[)）])?\\s*[:：]")
        self._office = re.compile(f"(?:{_any_of(self.writing['county_offices'])})$")

    def headings(self, form: Form) -> FormHeadings:
        return self._headings[id(form)]

    def is_heading(self, cell: Any) -> bool:
        """The cell holds a heading of some form."""
        if not isinstance(cell, str) or not cell or len(cell) > 60:
            return False
        return self._is_heading(cell)

    @functools.lru_cache(maxsize=50_000)  # noqa: B019 - one recogniser a process
    def _is_heading(self, text: str) -> bool:
        key = squeeze(text)
        bare = next(iter(self._headings.values())).bare(key)
        return key in self.known_words or bare in self.known_words or _WHICH.sub("", bare) in self.known_words

    def title_in(self, text: str) -> str | None:
        """Code of the form whose title a text holds; the longest title goes first."""
        key = squeeze(text)
        return next((code for title, code in self.titles if title in key), None)

    def unit_in(self, text: str) -> str | None:
        """The money unit or % that a heading names in brackets or at its end."""
        key = squeeze(text).translate(_OTHER_BRACKETS)
        for inner in re.findall(r"\(([^()]*)\)", key):
            for token in re.split("[,、;/:]", inner):
                if token in self.money or token == PERCENT:
                    return token
        if key.endswith(PERCENT):
            return PERCENT
        behind = _MONEY_BEHIND.search(key)
        return behind.group(1) if behind and behind.group(1) in self.money else None

    def unit_of_line(self, text: str) -> str | None:
        """The money unit of a 单位 line that may name several units (单位：人、万元); None if it names none or two."""
        tokens = re.split(r"[、,;:/()和及]+", squeeze(text).replace("人民币", ""))
        if not any(t in self.money for t in tokens):
            tokens = [squeeze(t) for t in text.split()]
        found = {t for t in tokens if t in self.money}
        return found.pop() if len(found) == 1 else None

    # The title block

    def is_label_row(self, row: list[Any]) -> bool:
        for cell in row:
            if isinstance(cell, str) and cell:
                key = squeeze(cell)
                if self._labels["county"].match(key) or self._labels["date"].match(key) or (self._labels["unit"].match(key) and ":" in key):
                    return True
        return self._is_unit_row(row)

    def _is_unit_row(self, row: list[Any]) -> bool:
        """单位 and its unit in two cells, without a colon, and nothing else."""
        cells = [c for c in row if not is_empty(c)]
        if len(cells) != 2 or not all(isinstance(c, str) for c in cells):
            return False
        return self._labels["unit"].fullmatch(squeeze(cells[0])) is not None and self.unit_of_line(cells[1]) is not None

    def is_signature(self, text: str) -> bool:
        return squeeze(text).startswith(tuple(self.writing["signature_words"]))

    def is_note(self, text: str) -> bool:
        key = squeeze(text)
        return key.startswith(tuple(squeeze(w) for w in self.writing["note_words"])) or self.reason_in(text) is not None

    def reason_in(self, text: str) -> str | None:
        """The reason that a note gives: 变化原因：…, also behind 注： or a number."""
        words = "|".join(map(re.escape, self.writing["reason_heading"]))
        found = re.match(rf"\s*(?:(?:备?注|说明)\s*[:：])?\s*(?:\d+\s*[.、．])?\s*(?:{words})\s*[:：]\s*(.+)", text, re.DOTALL)
        return found.group(1).strip() if found else None

    def read_block(self, rows: list[list[Any]]) -> TitleBlock:
        """Title, 填报单位, 截至日期 and 单位 from the rows above a table (and 填报日期 from those below)."""
        block = TitleBlock()
        for row in rows:
            for position, cell in enumerate(row):
                if is_empty(cell):
                    continue
                if isinstance(cell, str):
                    labelled = False
                    for label, value in self._pairs(cell):
                        labelled |= bool(label)
                        following = value or next((c for c in row[position + 1 :] if not is_empty(c)), "")
                        if isinstance(following, str) and self._pairs(following)[0][0]:
                            following = ""
                        self._note_pair(block, label, following)
                    if not labelled and len(row) and not self.is_note(cell):
                        block.texts.append(cell.strip())
        return block

    def _pairs(self, text: str) -> list[tuple[str, str]]:
        """(label, value) pairs in a cell: 填报单位：甲县　截至日期：…; ('', text) where there is no label."""
        found = list(self._any_label.finditer(text))
        if not found:
            key = squeeze(text)
            bare = any(p.fullmatch(key) for p in self._labels.values())
            return [(key, "")] if bare else [("", text)]
        ends = [m.start() for m in found[1:]] + [len(text)]
        return [(squeeze(m.group(0)), text[m.end() : end].strip(" \u3000\t\n;；,，")) for m, end in zip(found, ends, strict=True)]

    def _note_pair(self, block: TitleBlock, label: str, value: Any) -> None:
        if not label:
            return
        name = re.sub(r"\([^)]*\)", "", label).rstrip(":")
        if name in self.writing["county_labels"]:
            block.county = block.county or plain(value)
        elif name in self.writing["date_labels"]:
            block.date = value if block.date in (None, "") else block.date
        elif name in self.writing["unit_labels"]:
            block.unit = block.unit or plain(value)
        elif name in self.writing["filled_on_words"]:
            block.filled_on = block.filled_on or plain(value)

    def office_of(self, text: str) -> str:
        """填报单位 without what stands behind the county's name (…扶贫开发办公室)."""
        return self._office.sub("", squeeze(re.sub(r"[(（]\s*(?:盖章|公章|章)\s*[)）]", "", text)))


@dataclass
class TitleBlock:
    texts: list[str] = field(default_factory=list)  # title and whatever else has no label
    county: str = ""
    date: Any = None  # as in the cell
    unit: str = ""
    filled_on: str = ""

    @property
    def title(self) -> str:
        return " ".join(self.texts)


# Weeks


def full_date_in(text: str) -> dt.date | None:
    for pattern in (_FULL_DATE, _PACKED_DATE):
        if found := pattern.search(text):
            try:
                return dt.date(*map(int, found.groups()))
            except ValueError:
                return None
    return None


def week_in_block(block: TitleBlock, near: dt.date | None) -> tuple[str | None, str]:
    """Week of a title block ('2020-W24') and what it was read from; ``near`` settles a year that isn't written."""
    if not is_empty(block.date):
        day = _day(block.date, _year_near(block, near))
        if day:
            return week_of(day), plain(block.date)
        named = _named_week(plain(block.date), block, near)
        return named, plain(block.date)
    for text in block.texts:
        if named := _named_week(text, block, near):
            return named, text
    weeks = {}
    for text in block.texts:
        if (days := days_in(text, None)) and days[-1]:
            weeks.setdefault(week_of(days[-1]), text)
    return next(iter(weeks.items())) if len(weeks) == 1 else (None, "")  # two dates, and neither is called 截至日期


def titles_of(block: TitleBlock, recogniser: Recogniser) -> list[str]:
    """The texts of a title block that name a form."""
    return [t for t in block.texts if recogniser.title_in(t)]


def title_against_week(title: str, week: str) -> str | None:
    """The week or day that a title names, where that is not of this week (or the one after, in which it is sent)."""
    key, sunday = squeeze(title), sunday_of(week)
    numbers = {int(m.group(2)) for m in _WEEK_NAMED.finditer(key) if m.group(2) and "周" in m.group(0)}
    if numbers and int(week[6:]) not in numbers:
        return f"第{min(numbers)}周"
    days = [d for d in days_in(title, sunday) if d]
    if days and not any(sunday - dt.timedelta(days=6) <= d <= sunday + dt.timedelta(days=7) for d in days):
        return f"{days[-1].year}年{days[-1].month}月{days[-1].day}日"
    return None


def _day(value: Any, year_near: dt.date | None) -> dt.date | None:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not abs(value) < 1e9:
            return None
        value = str(int(value))
    text = str(value).strip()
    if re.fullmatch(r"[2-7]\d{4}(?:\.0+)?", text):  # a spreadsheet's serial number of a day
        return dt.date(1899, 12, 30) + dt.timedelta(days=int(text[:5]))
    days = days_in(text, year_near)
    return days[-1] if days else None


def days_in(text: str, year_near: dt.date | None) -> list[dt.date | None]:
    """Every day that a text names, in its order: 2020年1月1日至6月14日 names two, and the last one is what it speaks of.

    None stands for one that does not exist. A year or month that isn't written again is that of the day before.
    """
    days: list[dt.date | None] = []
    key, at = _DETACHED.sub("", unicodedata.normalize("NFKC", text)), 0
    while True:
        found = [m for p in (_FULL_DATE, _PACKED_DATE) if (m := p.search(key, at))]
        first = min(found, key=lambda m: m.start(), default=None)
        short = _MONTH_DAY.search(key, at)
        if short and (first is None or short.start() < first.start()):
            last = next((d for d in reversed(days) if d), None)
            month, number = int(short.group(1)), int(short.group(2))
            days.append(_day_of(last.year, month, number) if last else _nearest(month, number, year_near) if year_near else None)
            at = short.end()
        elif first:
            days.append(_day_of(*map(int, first.groups())))
            at = first.end()
        else:
            return days
        if days[-1] and (until := _UNTIL.match(key, at)):
            month = int(until.group(1) or days[-1].month)
            days.append(_day_of(days[-1].year, month, int(until.group(2))))
            at = until.end()


def _day_of(year: int, month: int, day: int) -> dt.date | None:
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None


def _nearest(month: int, day: int, near: dt.date) -> dt.date | None:
    candidates = []
    for year in (near.year - 1, near.year, near.year + 1):
        try:
            candidates.append(dt.date(year, month, day))
        except ValueError:
            continue
    return min(candidates, key=lambda d: abs(d - near), default=None)


def _year_near(block: TitleBlock, near: dt.date | None) -> dt.date | None:
    """A day in the likely year: when the form was filled in, a year in the title, when the file arrived."""
    if day := full_date_in(squeeze(block.filled_on)):
        return day
    if found := _YEAR.search(block.title):
        return dt.date(int(found.group(1)), 7, 1) if near is None or near.year != int(found.group(1)) else near
    return near


def _named_week(text: str, block: TitleBlock, near: dt.date | None) -> str | None:
    found = _WEEK_NAMED.search(squeeze(text))
    if not found:
        return None
    number = int(found.group(2) or found.group(3))
    year_near = _year_near(block, near)
    year = int(found.group(1)) if found.group(1) else year_near.isocalendar()[0] if year_near else None
    if year is None or not 1 <= number <= 53:
        return None
    try:
        return week_of(dt.date.fromisocalendar(year, number, 7))
    except ValueError:
        return None


@dataclass
class NameHints:
    """What a file's name says; it only supports the content."""

    counties: list[str]
    week_numbers: set[int]  # 第24周, W24, 第24期
    days: list[tuple[int, int]]  # (month, day): 0614, 6月14日
    year: int | None

    def contradicts_week(self, week: str) -> str | None:
        """What the name says instead of this week, for the message; None where it agrees or says nothing."""
        number = int(week[6:])
        if self.week_numbers:
            return None if number in self.week_numbers else f"第{min(self.week_numbers)}周"
        sunday = sunday_of(week)
        for month, day in self.days:
            try:
                named = dt.date(sunday.year, month, day)
            except ValueError:
                continue
            # a day of the week itself, or of the week after it, in which it is sent
            if not sunday - dt.timedelta(days=6) <= named <= sunday + dt.timedelta(days=7):
                return f"{month}月{day}日"
        return None

    def week(self, near: dt.date | None) -> str | None:
        """The week that the name gives, where the content gives none."""
        year = self.year or (near.year if near else None)
        if year and len(self.week_numbers) == 1:
            try:
                return week_of(dt.date.fromisocalendar(year, next(iter(self.week_numbers)), 7))
            except ValueError:
                return None
        return None


def name_hints(name: str, codes: Any) -> NameHints:
    stem = re.sub(r"\.[A-Za-z]{3,4}$", "", name.replace("\\", "/").rsplit("/", 1)[-1])
    numbers = {int(m.group(2) or m.group(3)) for m in _WEEK_NAMED.finditer(stem)}
    without = _WEEK_NAMED.sub(" ", stem)
    days = [(int(m.group(2)), int(m.group(3))) for m in (*_FULL_DATE.finditer(without), *_PACKED_DATE.finditer(without))]
    if not days:
        days = [(int(m.group(1)), int(m.group(2))) for m in (*_MONTH_DAY.finditer(without), *_MONTH_DAY_PACKED.finditer(without))]
    year = re.search(r"(?<!\d)(20\d\d)(?!\d\d\d)", stem)
    return NameHints(codes.counties_in(stem), numbers, days, int(year.group(1)) if year else None)
