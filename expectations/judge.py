"""Judgement: rules over what was accepted, their results, reporting status, and the gate before publication.

One transaction writes findings, results and status; Great Expectations reads the candidates in a session of its own,
beside it where a process waits for that; then the verdict is written. A run that is cut off leaves its slices pending,
and the next one judges them again.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg

from expectations import (
    anomalies,
    cross_form,
    dated,
    gate,
    payouts,
    reporting_status,
    results,
    scope,
    validation,
    validation_process,
    waivers,
    window,
)
from expectations.marts import Mart, candidates
from expectations.suites import suite
from ingestion.contract_model import Contracts
from ingestion.contracts import contracts
from warehouse import calendar
from warehouse.locks import JUDGEMENT as JUDGE_LOCK
from warehouse.publication.ledger import code_version
from warehouse.roles import TRANSFORMER, as_role
from warehouse.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """``errors`` and ``warnings`` count open findings of the county-weeks judged; ``results`` the results by status."""

    check_run_id: int
    verdict: str  # clean | warnings | blocked
    blocking_zh: str | None
    errors: int
    warnings: int
    results: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


@as_role(TRANSFORMER)
def judge(
    connection: psycopg.Connection,
    settings: Settings,
    *,
    now: dt.datetime | None = None,
    publish_week: str | None = None,
    great_expectations: bool = True,
    again: tuple[str, str] | None = None,
    rules_on: dt.date | None = None,
    progress: Callable[..., None] | None = None,
) -> Verdict:
    """Judge what was built and is not yet published, and every county-week without results up to ``publish_week``.

    ``now`` (aware; default: the current time) decides what is due; ``publish_week`` defaults to the newest week due by
    then. ``again``, first and last week: judge those weeks once more, each by the rules and severities of its own date,
    or, if asked for with ``rules_on``, by those of another. Without ``great_expectations`` the verdict rests on rules and reconciliation alone (tests, small corrections).
    A rule that cannot be run, or Great Expectations failing to run, blocks; it does not raise.
    """
    began = time.monotonic()
    of = contracts()
    now = now or dt.datetime.now(settings.timezone)
    say = progress or (lambda *_: None)
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [JUDGE_LOCK])
        week = publish_week or calendar.publish_week(connection, now, settings.timezone)
        run = _open_run(connection, now, week)
        dated.write(connection, of)
        payouts.count(connection, everything=again is not None)
        scope.prepare(connection, of, publish_week=week, now=now, timezone=settings.timezone, again=again, rules_on=rules_on)
        marts = candidates(connection)
        pending = connection.execute("select form, week from pg_temp.pending").fetchall()
        validated = _validating(settings, of, marts, pending, progress) if great_expectations and pending else None
        say("judging rules")
        broken = cross_form.judge(connection, of)
        if again:
            _severities(connection)
        waivers.apply(connection, now.astimezone(settings.timezone).date())
        by_status = results.write(connection, run, broken)
        reporting_status.write(connection, now)
        reasons = [f"规则 {rule} 执行出错，未能检查" for rule in broken] + gate.blocking(connection, marts, of)
        counts = gate.findings(connection)
        _anomalies(connection, marts, of, run)
        window.close(connection, of, run)
    evaluated = failed = None
    if validated:
        say("validating marts")
        evaluated, failed, faults = _outcome(validated)
        reasons += faults
    verdict = "blocked" if reasons else "warnings" if counts.warnings else "clean"
    blocking_zh = "；".join(reasons) + "。" if reasons else None
    with connection.transaction():
        connection.execute(
            """update quality.check_run set finished_at = clock_timestamp(), verdict = %s, blocking_zh = %s, errors = %s,
                      warnings = %s, gx_success = %s, gx_evaluated = %s, gx_failed = %s
               where check_run_id = %s""",
            [verdict, blocking_zh, counts.errors, counts.warnings, None if failed is None else not failed, evaluated, failed, run],
        )
    return Verdict(run, verdict, blocking_zh, counts.errors, counts.warnings, by_status, time.monotonic() - began)


def _severities(connection: psycopg.Connection) -> None:
    """Findings of weeks judged again take the severity that the rule has now been judged with; no form is returned for it."""
    connection.execute(
        """update quality.finding f set severity = c.severity
           from pg_temp.judging j join pg_temp.catalogue c using (week)
           where (f.county_code, f.week) = (j.county_code, j.week) and f.rule_id = c.rule_id and c.form in (f.form, '*')
             and f.status in ('open', 'waived') and f.severity <> c.severity"""
    )


def _anomalies(connection: psycopg.Connection, marts: dict[str, Mart], of: Contracts, run: int) -> None:
    """Figures that stand out are for a reviewer; that they could not be looked for is no reason not to publish."""
    weeks = [w for (w,) in connection.execute("select distinct week from pg_temp.judging")]
    try:
        with connection.transaction():
            anomalies.detect(connection, marts, of, weeks, run)
    except Exception:
        log.exception("Anomalies could not be looked for")


def _open_run(connection: psycopg.Connection, now: dt.datetime, week: str | None) -> int:
    return connection.execute(
        """insert into quality.check_run (judged_at, publish_week, code_version, dbt_invocation_id)
           values (%s, %s, %s, (select dbt_invocation_id from ops.build_run where succeeded order by build_run_id desc limit 1))
           returning check_run_id""",
        [now, week, code_version()],
    ).fetchone()[0]


def _validating(
    settings: Settings, of: Contracts, marts: dict[str, Mart], pending: list[tuple[str, str]], progress: Callable[..., None] | None
) -> Callable[[], validation.Validation]:
    suites = [suite(of.form(form), mart) for form, mart in sorted(marts.items())]
    return validation_process.validating(settings, suites, {f for f, _ in pending}, sorted({w for _, w in pending}), progress)


def _outcome(validated: Callable[[], validation.Validation]) -> tuple[int | None, int | None, list[str]]:
    """Expectations evaluated, failed, and the reasons to block that follow."""
    try:
        found = validated()
    except Exception as error:  # whatever it was, unchecked figures are not published
        log.exception("Great Expectations could not be run")
        return None, None, [f"候选集市的检查未能运行（{type(error).__name__}），详见日志"]
    return found.evaluated, len(found.failed), found.blocking_zh()
