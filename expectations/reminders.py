"""Reminders: what a county still owes for weeks that have come due, as a text in its outbox."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path

import psycopg

from expectations import reporting_status, scope
from ingestion.contracts import contracts
from ingestion.reference import codes
from warehouse import calendar
from warehouse.roles import TRANSFORMER, as_role
from warehouse.settings import Settings

NAME = "催报通知.txt"
WEEKS_BACK = 8  # older debts are in the report; nobody mends them because of a letter
STATUS_ZH = {"missing": "未收到", "returned": "已退回，尚未收到更正后的报表"}


@dataclass(frozen=True)
class Reminder:
    """``written`` is False where the same reminder lies in the outbox already. ``forms``: code → missing | returned."""

    county_code: str
    week: str
    forms: dict[str, str]
    path: Path
    written: bool


@as_role(TRANSFORMER)
def remind(connection: psycopg.Connection, settings: Settings, now: dt.datetime) -> list[Reminder]:
    """Bring reporting status to ``now`` (aware) and write a reminder for every county and week with forms overdue.

    Safe to repeat: a reminder is written again only when what is owed has changed, and taken away when nothing is.
    Weeks count from eight before the newest one due; a week nobody has reported for yet counts if it follows the last
    one that somebody has.
    """
    with connection.transaction():
        last = connection.execute("select max(week) from intake.submission where county_code is not null and as_of_date <= %s", [now.date()]).fetchone()[0]
        if last is None:
            return []
        newest = min(calendar.next_week(last), calendar.previous_week(calendar.week_of(now.astimezone(settings.timezone).date())))
        scope.prepare_status(connection, contracts(), until=newest, now=now, timezone=settings.timezone)
        reporting_status.write(connection, now)
        since = calendar.week_of(calendar.monday_of(newest) - dt.timedelta(weeks=WEEKS_BACK - 1))
        rows = connection.execute(
            """select county_code, week, form, status, due_at from quality.reporting_status
               where status in ('missing', 'returned') and due_at < %s and week >= %s order by 1, 2, 3""",
            [now, since],
        ).fetchall()
        owed: dict[tuple[str, str], dict[str, str]] = {}
        due: dict[tuple[str, str], dt.datetime] = {}
        for county, week, form, status, due_at in rows:
            owed.setdefault((county, week), {})[form] = status
            due[county, week] = due_at
        found = [_one(connection, settings, now, place, forms, due[place]) for place, forms in owed.items()]
        _settle(connection, now, owed)
    return found


def _one(connection: psycopg.Connection, settings: Settings, now: dt.datetime, place: tuple[str, str], forms: dict[str, str], due_at: dt.datetime) -> Reminder:
    county, week = place
    path = settings.outbox / county / week / NAME
    said = [f"{form} {status}" for form, status in forms.items()]
    known = connection.execute("select forms from quality.reminder where (county_code, week) = (%s, %s) and settled_at is null", place).fetchone()
    if known and known[0] == said and path.exists():
        return Reminder(county, week, forms, path, False)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{NAME}.{os.getpid()}")
    draft.write_text(text(county, week, forms, due_at, now, settings), encoding="utf-8-sig")  # the counties' Notepad wants the mark
    draft.replace(path)
    connection.execute(
        """insert into quality.reminder (county_code, week, forms, path, reminded_at) values (%s, %s, %s, %s, %s)
           on conflict (county_code, week) do update set (forms, path, reminded_at, settled_at) = (excluded.forms, excluded.path, excluded.reminded_at, null)""",
        [county, week, said, path.relative_to(settings.home).as_posix(), now],
    )
    return Reminder(county, week, forms, path, True)


def _settle(connection: psycopg.Connection, now: dt.datetime, owed: dict[tuple[str, str], dict[str, str]]) -> None:
    """Take away reminders of what has come in."""
    connection.execute(
        """update quality.reminder r set settled_at = %s
           where settled_at is null and not exists (
               select from quality.reporting_status s where (s.county_code, s.week) = (r.county_code, r.week) and s.status in ('missing', 'returned'))""",
        [now],
    )


@as_role(TRANSFORMER)
def clear(connection: psycopg.Connection, settings: Settings) -> int:
    """Delete the files of settled reminders; returns how many there were."""
    gone = 0
    for (path,) in connection.execute("select path from quality.reminder where settled_at is not null").fetchall():
        file = settings.home / path
        if file.exists():
            file.unlink()
            gone += 1
    return gone


def text(county: str, week: str, forms: dict[str, str], due_at: dt.datetime, now: dt.datetime, settings: Settings) -> str:
    """The letter, in Chinese, as the county reads it."""
    of, sunday = contracts(), calendar.as_of_date(week)
    lines = [
        f"{codes().county_name(county)}：",
        "",
        f"截至{sunday:%Y年%m月%d日}（{week[:4]}年第{int(week[6:])}周）的扶贫周报，应于{due_at.astimezone(settings.timezone):%m月%d日%H:%M}前报送。"
        f"至{now.astimezone(settings.timezone):%m月%d日%H:%M}，以下{len(forms)}张报表尚未收到或退回后未重报：",
        "",
    ]
    for status, words in STATUS_ZH.items():
        mine = [form for form, s in forms.items() if s == status]
        if mine:
            lines.append(f"{words}（{len(mine)}张）：")
            lines += [f"  {n}. {of.form(form, sunday).zh}（{form}）" for n, form in enumerate(mine, 1)]
            lines.append("")
    lines.append("请尽快报送。本周确无情况可报的，请报送只有表头的空表（空报）。")
    if "returned" in forms.values():
        lines.append("退回的报表，错误所在的单元格已在同一文件夹的“检查结果”工作簿中逐处标出；改正后只需重报这些报表。")
    return "\r\n".join([*lines, ""])
