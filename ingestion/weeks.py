"""Days and weeks as counties write them, in a title block and in a file's name.

What is called 截至日期 may be any day of its week. A day that nothing is said of counts only if it is a Sunday or the end of
a period: any other one may as well be the day on which the form was filled in.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from ingestion.grid import is_empty, plain, squeeze

_FULL_DATE = re.compile(r"(?<!\d)(20\d\d|19\d\d)\s*[-./年]\s*(\d{1,2})\s*[-./月]\s*(\d{1,2})\s*[日号]?(?!\d)")
_PACKED_DATE = re.compile(r"(?<!\d)((?:20|19)\d\d)(\d\d)(\d\d)(?!\d)")
_MONTH_DAY = re.compile(r"(?<!\d)(\d{1,2})\s*月\s*(\d{1,2})\s*[日号]")
# 2020年第24周, 第24期, 2020-W24, 2020年24周; but 6月第2周 is a week of a month, and no number of ours
_WEEK_NAMED = re.compile(
    r"(?<!\d)(?:(20\d\d)\s*年?[-_\s]*)?(?:(?<!月)第\s*(\d{1,2})\s*[周期]|[Ww](?:[Ee][Ee][Kk])?\s*(\d{1,2})|(?<=年)(\d{1,2})周(?![年岁]))(?!\d)"
)
_WEEK_IN_NAME = re.compile(r"(?<![\d月第年.])(\d\d)周(?![年岁])")
_MONTH_DAY_PACKED = re.compile(r"(?<!\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?!\d)")
_UNTIL = re.compile(r"[-—–―－~～至到]+(?:(\d{1,2})[.月/])?(\d{1,2})[日号]?(?![\d年./月-])")  # the end of 2020年6月8日-14日, 2020.6.8-6.14
_DETACHED = re.compile(r"(?<!\d)\s+|\s+(?!\d)")
_YEAR = re.compile(r"(?<!\d)(20\d\d)\s*年")
_SHORT_YEAR = re.compile(r"(?<!\d)(\d\d)年(?=\d{1,2}月)")
_MONTH_DAY_ONLY = re.compile(r"(\d{1,2})(?:[.](\d\d)|[/-](\d{1,2})|月(\d{1,2}))")  # 6.1 may have been 6.10
_DOTTED_IN_NAME = re.compile(r"(?<![\d.vV附件表版第])(1[0-2]|0?[1-9])[.](3[01]|[12]\d|0?[1-9])(?![\d.])")
_UP_TO = ("截至", "截止")
_CHINESE = {c: n for n, c in enumerate("零一二三四五六七八九十")} | {"〇": 0, "○": 0, "O": 0}
_CHINESE_NUMBER = re.compile(f"[{''.join(_CHINESE)}]{{1,4}}(?=[年月日号周期])")


def week_of(day: dt.date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"


def sunday_of(week: str) -> dt.date:
    return dt.date.fromisocalendar(int(week[:4]), int(week[6:]), 7)


def in_digits(text: str) -> str:
    """二〇二〇年六月十四日, 第二十四周 in digits."""
    return _CHINESE_NUMBER.sub(lambda m: _chinese_number(m.group(0)), text)


def _chinese_number(text: str) -> str:
    if "十" not in text:
        return "".join(str(_CHINESE[c]) for c in text)
    tens, _, ones = text.partition("十")
    if len(tens) > 1 or len(ones) > 1:
        return text
    return str((_CHINESE[tens] if tens else 1) * 10 + (_CHINESE[ones] if ones else 0))


def _said(match: re.Match) -> int:
    return int(match.group(2) or match.group(3) or match.group(4))


@dataclass
class TitleBlock:
    texts: list[str] = field(default_factory=list)  # title and whatever else has no label
    county: str = ""
    date: Any = None  # as in the cell
    unit: str = ""
    filled_on: str = ""
    period: str = ""  # 周次：第24周

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
    for text in filter(None, (block.period, *block.texts)):
        if named := _named_week(text, block, near):
            return named, text
    said: dict[str, str] = {}
    weeks: dict[str, str] = {}
    for text in filter(None, (block.period, *block.texts)):
        up_to = any(w in squeeze(text) for w in _UP_TO)
        days = days_in(text, _year_near(block, near) if up_to else None)
        if not days or not days[-1]:
            continue
        if up_to:
            said.setdefault(week_of(days[-1]), text)
        elif len(days) > 1 or days[-1].isoweekday() == 7:  # any other day may be the one on which it was filled in
            weeks.setdefault(week_of(days[-1]), text)
    found = said or weeks
    return next(iter(found.items())) if len(found) == 1 else (None, "")  # two dates, and neither is called 截至日期


def title_against_week(title: str, week: str) -> str | None:
    """The week or day that a title names, where that is not of this week (or the one after, in which it is sent)."""
    key, sunday = in_digits(squeeze(title)), sunday_of(week)
    numbers = {_said(m) for m in _WEEK_NAMED.finditer(key) if not m.group(3) and "周" in m.group(0)}
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
    if not days and year_near and (short := _MONTH_DAY_ONLY.fullmatch(squeeze(text))):
        return _nearest(int(short.group(1)), int(next(filter(None, short.groups()[1:]))), year_near)
    return days[-1] if days else None


def days_in(text: str, year_near: dt.date | None) -> list[dt.date | None]:
    """Every day that a text names, in its order: 2020年1月1日至6月14日 names two, and the last one is what it speaks of.

    None stands for one that does not exist. A year or month that isn't written again is that of the day before.
    """
    days: list[dt.date | None] = []
    key, at = in_digits(_DETACHED.sub("", unicodedata.normalize("NFKC", text).replace("_", " "))), 0
    key = _SHORT_YEAR.sub(r"20\1年", key)
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
    found = _WEEK_NAMED.search(in_digits(squeeze(text)))
    if not found:
        return None
    number = _said(found)
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
    days: list[tuple[int | None, int, int]]  # (year if written, month, day): 0614, 6月14日
    year: int | None  # written with the week, or anywhere
    week_year: int | None = None  # written with the week

    def contradicts_week(self, week: str) -> str | None:
        """What the name says instead of this week, for the message; None where it agrees or says nothing."""
        if self.week_numbers:
            if self.week_year and self.week_year != int(week[:4]):
                return f"{self.week_year}年第{min(self.week_numbers)}周"
            return None if int(week[6:]) in self.week_numbers else f"第{min(self.week_numbers)}周"
        sunday = sunday_of(week)
        named = [d for d in (self._date(day, sunday) for day in self.days) if d]
        # a day of the week itself, or of the week after it, in which it is sent
        if not named or any(sunday - dt.timedelta(days=6) <= d <= sunday + dt.timedelta(days=7) for d in named):
            return None
        return f"{named[0].month}月{named[0].day}日" if named[0].year == sunday.year else f"{named[0].year}年{named[0].month}月{named[0].day}日"

    def week(self, near: dt.date | None) -> str | None:
        """The week that the name gives, where the content gives none: its number, or the Sunday it ends on."""
        year = self.year or (near.year if near else None)
        if year and len(self.week_numbers) == 1:
            try:
                return week_of(dt.date.fromisocalendar(year, next(iter(self.week_numbers)), 7))
            except ValueError:
                return None
        if self.week_numbers or not (near or all(y for y, _, _ in self.days)):
            return None
        sundays = {d for d in (self._date(day, near) for day in self.days) if d and d.isoweekday() == 7}
        return week_of(sundays.pop()) if len(sundays) == 1 else None

    @staticmethod
    def _date(day: tuple[int | None, int, int], near: dt.date | None) -> dt.date | None:
        year, month, number = day
        return _day_of(year, month, number) if year else _nearest(month, number, near) if near else None


def name_hints(name: str, codes: Any) -> NameHints:
    stem = in_digits(re.sub(r"\.[A-Za-z]{3,4}$", "", name.replace("\\", "/").rsplit("/", 1)[-1]))
    found = list(_WEEK_NAMED.finditer(stem))
    numbers = {_said(m) for m in found} or {int(m.group(1)) for m in _WEEK_IN_NAME.finditer(stem)}
    without = _WEEK_NAMED.sub(" ", stem)
    days = [(int(m.group(1)), int(m.group(2)), int(m.group(3))) for m in (*_FULL_DATE.finditer(without), *_PACKED_DATE.finditer(without))]
    if not days:
        short = (*_MONTH_DAY.finditer(without), *_MONTH_DAY_PACKED.finditer(without), *_DOTTED_IN_NAME.finditer(without))
        days = [(None, int(m.group(1)), int(m.group(2))) for m in short]
    year = re.search(r"(?<!\d)(20\d\d)(?!\d\d\d)", stem)
    stated = {int(m.group(1)) for m in found if m.group(1)}
    return NameHints(codes.counties_in(stem), numbers, days, int(year.group(1)) if year else None, stated.pop() if len(stated) == 1 else None)
