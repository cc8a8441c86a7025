"""What changed since the previous report of the same kind, and why: new weeks, or figures that were revised.

The change of a figure splits exactly in two: what the earlier report's own week says differently now (revision), and
what the weeks since then brought.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import psycopg

from reporting.addresses import address
from reporting.brief.composer import Composer, code_name, notes, split_name
from reporting.brief.elements import Element, Paragraph, Run, Table
from reporting.brief.period import Period, period
from reporting.brief.writing import change, written
from reporting.metrics import Figure, county_name, metric, unit_word
from warehouse import calendar


@dataclass(frozen=True)
class Earlier:
    """The report that is compared with."""

    publication: int
    period: Period


def earlier(connection: psycopg.Connection, records: Path, kind: str, now: Period, county: str | None, publication: int) -> Earlier | None:
    """The newest report of the same kind that was written from an earlier publication, else what the ledger gives.

    Without such a report it is the publication before, and for a weekly report the week before.
    """
    found = []
    for path in records.glob("*/figures.json"):
        told = json.loads(path.read_text(encoding="utf-8"))
        same = (told["report"], told["period_kind"], told["county"]) == (kind, now.kind, county)
        if same and (told["publication"], told["week"]) < (publication, now.week) and told["week"] <= now.week:
            found.append((told["publication"], told["week"]))
    if not found:
        before = connection.execute("select publication_id, week from store.publication where publication_id < %s order by 1 desc limit 1", [publication]).fetchone()
        if now.kind == "week":
            week = calendar.previous_week(now.week)
            of_week = connection.execute("select max(publication_id) from store.publication where week = %s and publication_id < %s", [week, publication]).fetchone()[0]
            found = [(of_week or publication, week)]
        elif before:
            found = [(before[0], min(before[1], now.week))]
    if not found:
        return None
    number, week = max(found)
    return Earlier(number, period(now.kind, week))


def elements(composer: Composer, before: Earlier | None, names: Sequence[str]) -> list[Element]:
    """The comparison: one sentence, and a table of what changed."""
    if before is None:
        return [Paragraph((Run("此前没有同类报告可供对比。"),), "note")]
    rows, same, lacking = [], [], []
    for name in names:
        own, of = split_name(name)
        now = composer.figure(own, of)
        then = metric(composer.connection, own, week=before.period.week, since=before.period.since, county=composer.county, publication=before.publication, of=of)
        if now.value is None or then.value is None:
            lacking.append((now, then))
        elif now.value == then.value:
            same.append(now)
        else:
            rows.append(_row(composer, before, now, then))
    of_before = f"上期为第{before.publication}号发布（{before.period.week}），本期为第{composer.publication}号发布（{composer.period.week}）。"
    found: list[Element] = [Paragraph((Run(of_before + f"对比{len(rows) + len(same) + len(lacking)}项，变化{len(rows)}项，持平{len(same)}项。"),), "note")]
    if rows:
        header = tuple(Run(t) for t in ("指标", "上期", "本期", "变化", "其中：修订", "原因"))
        found.append(Table("与上期报告对比", header, tuple(rows), wide=(0, 5)))
    for now, then in lacking:
        missing = now if now.value is None else then
        told = f"{label(now)}不可比：{'本期' if missing is now else '上期'}缺（{missing.reason}）。"
        found.append(Paragraph((Run(told, missing=True),), "note"))
    return found


def label(figure: Figure) -> str:
    return figure.metric.zh + "".join(f"（{code_name(figure.metric.form, c, code)}）" for c, code in figure.of.items())


def _row(composer: Composer, before: Earlier, now: Figure, then: Figure) -> tuple[Run, ...]:
    about, word = now.metric, unit_word(now.metric, now.of)
    number = composer.source(f"上期·{label(then)}", written(then.value, about.unit, word), address(composer.connection, then, notes(then)))
    revised, reasons = None, []
    again = then
    if before.publication != composer.publication:
        again = metric(
            composer.connection, about.name, week=before.period.week, since=before.period.since, county=composer.county, publication=composer.publication, of=then.of
        )
        if about.time == "ledger":
            reasons.append("台账更新")
        elif again.value is not None and again.value != then.value:
            revised = change(again.value, then.value, about.unit, word)
            reasons.append(_why(composer, before, about.mart, about.columns))
    if about.time != "ledger" and composer.period.week != before.period.week:
        reasons.append("新增" + _weeks(before.period.week, composer.period.week) + "数据")
    elif about.time != "ledger" and revised is None:
        reasons.append("统计期不同")
    shown = composer.run(now)
    return (
        Run(label(now)), Run(written(then.value, about.unit, word), number), Run(shown.text, shown.ref, shown.marked),
        Run(change(Decimal(now.value), Decimal(then.value), about.unit, word)), Run(revised or "—"), Run("；".join(reasons)),
    )  # fmt: skip


def _weeks(before: str, now: str) -> str:
    first = calendar.next_week(before)
    return now if first == now else f"{first}至{now}"


def _why(composer: Composer, before: Earlier, mart: str, columns: Sequence[str]) -> str:
    """Which counties revised the mart between the two publications, and the reasons they gave."""
    rows = composer.connection.execute(
        """select county_code, count(*), array_remove(array_agg(distinct change_reason), null) from store.revision
           where publication_id > %s and publication_id <= %s and mart = %s and week <= %s and (column_name = any(%s) or %s) and coalesce(county_code = %s, true)
           group by 1 order by 1""",
        [before.publication, composer.publication, mart, before.period.week, list(columns), not columns, composer.county],
    ).fetchall()
    told = "、".join(f"{county_name(c)}{n}处" + (f"（{'；'.join(reasons)}）" if reasons else "") for c, n, reasons in rows)
    return f"补报修订：{told}" if told else "补报修订"
