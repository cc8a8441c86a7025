"""The commands of reviewers and of whoever keeps the data: anomalies, remind, erase, retention."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import click

from warehouse import calendar
from warehouse.commands.base import AS_JSON, FILE, NOW, connected, main, tell, time_given
from warehouse.settings import WarehouseError

KIND = {"outlier": "突变", "restatement": "改基数", "frozen": "长期不变", "round_digits": "尾数过整", "even_digits": "尾数过匀"}
VERDICT = {"confirmed": "确属有误", "explained": "有因", "false_alarm": "误报"}


def span(first: str | None, last: str | None) -> tuple[str, str]:
    """The weeks of `--from` and `--to`; one alone means that week. Raises WarehouseError."""
    if not first and not last:
        raise WarehouseError("Say which weeks to judge again: --from 2020-W22 --to 2020-W24.")
    weeks = (first or last, last or first)
    try:
        days = [calendar.monday_of(w) for w in weeks]
    except ValueError as error:
        raise WarehouseError(f"{error}; weeks are written like 2020-W24.") from error
    if days[0] > days[1]:
        raise WarehouseError(f"--to {weeks[1]} comes before --from {weeks[0]}.")
    return weeks


def date(text: str | None) -> dt.date | None:
    """The date of `--rules-of`. Raises WarehouseError."""
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError as error:
        raise WarehouseError(f"{text!r} is no date; write it like 2020-06-30.") from error


def describe(rows: list[dict[str, Any]]) -> str:
    """Anomalies for a person, by rank."""
    if not rows:
        return "没有异常数字。"
    lines = []
    for row in rows:
        place = " ".join(filter(None, (row["county_code"], row["form"], row["row_key"])))
        said = f"  〔{VERDICT[row['verdict']]}，{row['reviewer']}{'：' + row['note'] if row['note'] else ''}〕" if row["verdict"] else ""
        lines.append(f"{row['week']}  {row['rank'] or '-':>3}  编号 {row['anomaly_id']}  {KIND[row['kind']]}  {place}  {row['text_zh']}{said}")
    return "\n".join(lines)


@main.group(invoke_without_command=True)
@click.option("--week", help="Week, such as 2020-W24 (default: the newest with any).")
@click.option("--all", "everything", is_flag=True, help="Every week, and those that were judged and stand no more.")
@AS_JSON
@click.pass_context
def anomalies(context: click.Context, week: str | None, everything: bool, as_json: bool) -> None:
    """Figures that stand out, by the people and the money at stake; they hold nothing up.

    \b
    Examples: warehouse anomalies --week 2020-W24
              warehouse anomalies judge 17 --verdict confirmed --by 李科长 --note 多报一位
    """
    if context.invoked_subcommand:
        return
    from expectations.anomalies import listing

    with connected() as (connection, _):
        rows = listing(connection, week, everything=everything)
    tell(as_json, {"anomalies": rows}, describe(rows))


@anomalies.command("judge")
@click.argument("number", type=int)
@click.option("--verdict", required=True, type=click.Choice(list(VERDICT)), help="confirmed: the figure is wrong; explained: it is right, and why; false_alarm.")
@click.option("--by", required=True, metavar="NAME", help="Who says so.")
@click.option("--note", help="What was found out.")
@AS_JSON
def judge_anomaly(number: int, verdict: str, by: str, note: str | None, as_json: bool) -> None:
    """Record a reviewer's verdict on anomaly NUMBER. What is confirmed leaves the baseline of later weeks.

    \b
    Example: warehouse anomalies judge 17 --verdict explained --by 李科长 --note 两镇合并
    """
    from expectations.anomalies import review

    with connected() as (connection, _):
        review(connection, number, verdict=verdict, by=by, note=note)
    tell(as_json, {"anomaly_id": number, "verdict": verdict, "reviewer": by, "note": note}, f"Anomaly {number}: {VERDICT[verdict]}, {by}.")


@main.command()
@NOW
@AS_JSON
def remind(now: str | None, as_json: bool) -> None:
    """Write a reminder into the outbox of every county with forms overdue, and take away those that are settled.

    \b
    Example: warehouse remind --now 2020-06-17T09:00
    """
    from expectations import reminders as step
    from warehouse.commands import reminders as command

    with connected() as (connection, settings):
        found = step.remind(connection, settings, time_given(now, settings) or dt.datetime.now(settings.timezone))
        cleared = step.clear(connection, settings)
    result = command.as_json(found, cleared)
    tell(as_json, result, command.describe(result))


@main.command()
@click.option("--file", help="The original: its number, the beginning of its SHA-256, or its name.")
@click.option("--cell", "cells", multiple=True, help="Cell to blank, such as 明细表!C5 or inner.xlsx::明细表!C5; repeat for several.")
@click.option("--id-number-file", "numbers", type=FILE, help="Text file of ID numbers, one a line: blank them and the personal cells beside them.")
@click.option("--by", required=True, metavar="NAME", help="Who erases.")
@click.option("--reason", required=True, help="Why; on whose request.")
@AS_JSON
def erase(file: str | None, cells: tuple[str, ...], numbers: Path | None, by: str, reason: str, as_json: bool) -> None:
    """Erase personal data from archived originals. The hash of what was received stays, and what was done is on record.

    \b
    Examples: warehouse erase --file 42 --cell 明细表!C5 --by 李科长 --reason 本人申请
              warehouse erase --id-number-file numbers.txt --by 李科长 --reason 本人申请
    """
    from warehouse.commands import retention as command

    with connected() as (connection, settings):
        done = command.erase(connection, settings, file=file, cells=list(cells), numbers=numbers, by=by, reason=reason)
    result = command.as_json(done)
    tell(as_json, result, command.describe(result))


@main.command()
@AS_JSON
def retention(as_json: bool) -> None:
    """How long what is kept, and which originals are past it. Deletes nothing.

    \b
    Example: warehouse retention
    """
    from warehouse.commands import retention as command

    with connected() as (connection, settings):
        said = command.policy(connection, dt.datetime.now(settings.timezone).date())
    tell(as_json, said, f"Originals are kept {said['originals_years']} years, publications {said['publications_years']}; {len(said['past'])} originals are past that.")
