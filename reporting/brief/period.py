"""The period a report speaks of: a week, month, quarter or half-year, named by the as-of date of its last week."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from warehouse import calendar

KINDS = ("week", "month", "quarter", "half-year")
QUARTERS = ("一", "二", "三", "四")


@dataclass(frozen=True)
class Period:
    """``since`` to ``week``, both included. A period that is not over yet ends with ``week``."""

    kind: str
    week: str
    since: str
    label: str  # 2020年上半年
    slug: str  # 2020-H1

    @property
    def as_of(self) -> dt.date:
        return calendar.as_of_date(self.week)


def period(kind: str, week: str) -> Period:
    """The period of a kind that ``week``'s as-of date lies in. Raises ValueError for an unknown kind or week."""
    day = calendar.as_of_date(week)
    year, month = day.year, day.month
    if kind == "week":
        monday = calendar.monday_of(week)
        label = f"{int(week[:4])}年第{int(week[6:])}周（{monday.month}月{monday.day}日至{day.month}月{day.day}日）"
        return Period(kind, week, week, label, week)
    if kind == "month":
        first, label, slug = dt.date(year, month, 1), f"{year}年{month}月", f"{year}-{month:02d}"
    elif kind == "quarter":
        number = (month - 1) // 3
        first, label, slug = dt.date(year, 3 * number + 1, 1), f"{year}年第{QUARTERS[number]}季度", f"{year}-Q{number + 1}"
    elif kind == "half-year":
        second = month > 6
        first, label, slug = dt.date(year, 7 if second else 1, 1), f"{year}年{'下' if second else '上'}半年", f"{year}-H{1 + second}"
    else:
        raise ValueError(f"a period is one of {', '.join(KINDS)}, not {kind}")
    since = calendar.week_of(first)
    if calendar.as_of_date(since) < first:
        since = calendar.next_week(since)
    return Period(kind, week, since, label, slug)


def chinese_date(day: dt.date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"
