"""The health of the cycle, worked out anew each time from the database, the home and the clock.

A check is *ok* or it says in Chinese what is wrong and what to do; nothing in it is personal. The whole is healthy
when every check is ok. Deadlines are those of the real calendar: on old demonstration data, give ``now``.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from dataclasses import dataclass, field
from typing import Any

import psycopg

from ingestion.reference import codes
from warehouse import calendar, database
from warehouse.settings import Settings, WarehouseError

PUBLISH_WITHIN = dt.timedelta(hours=float(os.environ.get("WAREHOUSE_PUBLISH_WITHIN_HOURS", "24")))  # after the due time
STUCK = dt.timedelta(minutes=30)  # a file that waits so long is not being worked on
DISK_LOW = float(os.environ.get("WAREHOUSE_DISK_LOW_GB", "5")) * 2**30
FAILED_SINCE = dt.timedelta(hours=24)
CYCLE_NOTE = "cycle.json"  # in the home: how the last cycle by hand ended


@dataclass
class Check:
    """``causes``: key → what a person is told, one for each thing that is wrong; empty means ok."""

    name: str
    causes: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.causes


@dataclass
class Health:
    at: dt.datetime
    checks: list[Check]

    @property
    def healthy(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def causes(self) -> dict[str, str]:
        return {key: text for check in self.checks for key, text in check.causes.items()}

    def values(self, name: str) -> dict[str, Any]:
        return next((check.values for check in self.checks if check.name == name), {})

    def as_json(self) -> dict[str, Any]:
        checks = {check.name: {"ok": check.ok, "causes": check.causes, **check.values} for check in self.checks}
        return {"healthy": self.healthy, "at": self.at.isoformat(), "checks": checks}


def health(settings: Settings, now: dt.datetime | None = None) -> Health:
    """Look at everything. Never raises for a fault of the warehouse: a database that is away is a finding."""
    now = now or dt.datetime.now(settings.timezone)
    checks = [_disk(settings), _inbox(settings, now), _last_cycle(settings, now)]
    try:
        with database.connect(settings, autocommit=True, connect_timeout=5) as connection:
            checks = [_database(), _publication(connection, settings, now), _reporting(connection, settings, now), _files(connection, now),
                      _gate(connection, settings), *checks, _airflow(connection, settings, now)]  # fmt: skip
    except (WarehouseError, psycopg.Error) as error:
        checks.insert(0, _database(error))
    return Health(now, checks)


def _database(error: Exception | None = None) -> Check:
    if error is None:
        return Check("database")
    return Check("database", {"database": f"数据库无法使用（{type(error).__name__}）。请检查数据库服务和磁盘；自带的数据库用 warehouse up 启动。"})


# -- the publication -------------------------------------------------------------------------------


def weeks_due(connection: psycopg.Connection, settings: Settings, now: dt.datetime, number: int, later: dt.timedelta = dt.timedelta()) -> list[str]:
    """The newest ``number`` weeks whose due time, and ``later`` besides, has passed; newest first."""
    exceptions, week = calendar.read_exceptions(connection), calendar.week_of(now.astimezone(settings.timezone).date())
    found: list[str] = []
    while len(found) < number:
        if calendar.due_at(week, calendar.EVERY_COUNTY, exceptions, settings.timezone) + later <= now:
            found.append(week)
        week = calendar.previous_week(week)
    return found


def _publication(connection: psycopg.Connection, settings: Settings, now: dt.datetime) -> Check:
    row = connection.execute("select publication_id, week, published_at, approved_by from store.publication order by publication_id desc limit 1").fetchone()
    (week,) = weeks_due(connection, settings, now, 1, PUBLISH_WITHIN)
    check = Check("publication", values={"publication": None, "week": None, "age_seconds": None, "expected_week": week})
    if row:
        age = max(0.0, (now - row[2]).total_seconds())
        check.values |= {"publication": row[0], "week": row[1], "published_at": row[2].isoformat(), "age_seconds": round(age)}
    if row is None or row[1] < week:
        said = f"最近一次发布是第{row[0]}号（{row[1]}）" if row else "尚无任何发布"
        check.causes[f"publication:{week}"] = (
            f"{week} 截止后{PUBLISH_WITHIN.total_seconds() / 3600:.0f}小时仍未发布：{said}。请运行 warehouse status 查看卡在哪一步；"
            "有待审批的，到 Airflow 的 Required Actions 中处理；检查未通过的，按质量报告通知县里更正。"
        )
    return check


def _reporting(connection: psycopg.Connection, settings: Settings, now: dt.datetime) -> Check:
    """Forms overdue for the newest week that is due, and counties that sent nothing for two weeks in a row."""
    last, before = weeks_due(connection, settings, now, 2)
    owed = {week: {} for week in (last, before)}
    for week, counties in owed.items():
        accepted = set(connection.execute("select county_code, form from intake.accepted_submission where week = %s", [week]).fetchall())
        exceptions = calendar.read_exceptions(connection)
        for county, form in calendar.expected_slices(connection, week):
            if (county, form) not in accepted and calendar.due_at(week, county, exceptions, settings.timezone) <= now:
                counties.setdefault(county, []).append(form)
    sent = {
        week: {c for (c,) in connection.execute("select distinct county_code from intake.submission where week = %s and county_code is not null", [week])}
        for week in owed
    }
    silent = sorted(county for county in owed[last] if county in owed[before] and county not in sent[last] and county not in sent[before])
    check = Check("reporting", values={"week": last, "overdue_forms": {c: sorted(f) for c, f in sorted(owed[last].items())}, "missing_twice": silent})
    for county in silent:
        check.causes[f"missing:{county}:{last}"] = (
            f"{codes().county_name(county)}（{county}）连续两周（{before}、{last}）一张报表也没有报送。请电话联系；催报通知用 warehouse remind 生成，在 outbox/{county}/。"
        )
    return check


# -- files and the gate ----------------------------------------------------------------------------


def _files(connection: psycopg.Connection, now: dt.datetime) -> Check:
    waiting, oldest = connection.execute("select count(*), min(recorded_at) from intake.file where outcome is null").fetchone()
    failed = dict(
        connection.execute(
            """select outcome, count(*) from intake.file where outcome in ('refused', 'returned') and recorded_at > %s::timestamptz - interval '7 days'
               group by 1 order by 1""",
            [now],
        ).fetchall()
    )
    unanswered = connection.execute("select count(*) from intake.file where outcome is not null and finished_at is null").fetchone()[0]
    check = Check("files", values={"waiting": waiting, "failed_last_7_days": failed, "answers_owed": unanswered})
    if waiting and now - oldest > STUCK:
        check.causes["files:waiting"] = (
            f"有{waiting}个文件已收到但超过{STUCK.seconds // 60}分钟未装载。请看 Airflow 中 receive_and_load 的日志，或运行 warehouse load。"
        )
    return check


def _gate(connection: psycopg.Connection, settings: Settings) -> Check:
    waits = connection.execute(
        "select check_run_id, asked_at, answer_until from quality.approval where decision is null order by approval_id desc limit 1"
    ).fetchone()
    run = connection.execute(
        "select check_run_id, publish_week, verdict from quality.check_run where verdict is not null order by check_run_id desc limit 1"
    ).fetchone()
    check = Check("gate", values={"waiting_for_approval": waits[0] if waits else None, "last_verdict": run[2] if run else None})
    if waits:
        until = f"，请于{waits[2].astimezone(settings.timezone):%m月%d日%H:%M}前答复" if waits[2] else ""
        check.causes[f"gate:{waits[0]}"] = f"检查批次{waits[0]}有提示，发布在等人审批{until}。请到 Airflow 的 Browse → Required Actions 批准或驳回；不答复则不发布。"
    if run and run[2] == "blocked":
        check.causes[f"blocked:{run[0]}"] = f"{run[1]} 的检查（批次{run[0]}）未通过，没有发布，以前的发布继续有效。请打开质量报告，按列出的问题通知县里更正后重报。"
    return check


# -- what surrounds it -----------------------------------------------------------------------------


def _disk(settings: Settings) -> Check:
    usage = shutil.disk_usage(settings.home if settings.home.exists() else settings.home.parent)
    check = Check("disk", values={"free_bytes": usage.free, "total_bytes": usage.total})
    if usage.free < DISK_LOW:
        check.causes["disk"] = f"磁盘只剩{usage.free / 2**30:.1f} GB（低于{DISK_LOW / 2**30:.0f} GB）。请清理 logs/ 和旧备份，或扩容；少于2 GB时不再装载。"
    return check


def _inbox(settings: Settings, now: dt.datetime) -> Check:
    """Files that nobody takes, and drops that were set aside. Names stay out of it: a county's file may be named after a person."""
    taken = dt.timedelta(hours=1).total_seconds()
    names = [p for p in settings.inbox.rglob("*") if p.is_file() and not any(part.startswith(".") for part in p.relative_to(settings.inbox).parts)] if settings.inbox.exists() else []
    old = 0
    for path in names:
        try:
            old += now.timestamp() - path.stat().st_mtime > taken
        except OSError:
            continue  # taken meanwhile
    aside = sum(1 for p in (settings.home / "set_aside").glob("*")) if (settings.home / "set_aside").exists() else 0
    check = Check("inbox", values={"files": len(names), "older_than_an_hour": old, "set_aside": aside})
    if aside:
        check.causes[f"set_aside:{aside}"] = f"有{aside}批送件的 arrivals.csv 无法执行，已移到 set_aside/。请改正后移回收件箱。"
    return check


def _last_cycle(settings: Settings, now: dt.datetime) -> Check:
    check = Check("cycle")
    try:
        told = json.loads((settings.home / CYCLE_NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return check
    check.values = told
    if told.get("fault"):
        check.causes[f"cycle:{told['begun_at']}"] = (
            f"{told['begun_at'][:16]} 的 warehouse cycle 在“{told.get('step') or '启动'}”这一步失败（{told['fault']}）。改正原因后重新运行即可，已发布的数据不受影响。"
        )
    return check


def _airflow(connection: psycopg.Connection, settings: Settings, now: dt.datetime) -> Check:
    """DAGs whose last run of the past day failed; nothing where Airflow has no database on this server."""
    from warehouse.backup.make import airflow_url

    check = Check("airflow", values={"failed": []})
    address = airflow_url(settings, connection)
    if address is None:
        return check
    try:
        with psycopg.connect(address, connect_timeout=5) as airflow:
            rows = airflow.execute(
                """select dag_id, run_id from (
                       select distinct on (dag_id) dag_id, run_id, state, end_date from dag_run where state in ('success', 'failed') order by dag_id, end_date desc
                   ) last where state = 'failed' and end_date > %s order by 1""",
                [now - FAILED_SINCE],
            ).fetchall()
    except psycopg.Error:  # not migrated yet, or not ours to read
        return check
    check.values["failed"] = [dag for dag, _ in rows]
    for dag, run in rows:
        check.causes[f"dag:{dag}:{run}"] = f"Airflow 的 {dag} 最近一次运行失败（{run}）。请在 Airflow 中打开该次运行，看失败任务的日志；改正后 Clear 该任务重跑。"
    return check


def note_cycle(settings: Settings, begun_at: dt.datetime, outcome: str | None, fault: BaseException | None = None, step: str | None = None) -> None:
    """How a cycle by hand ended, for the next look; of a fault only its kind, since its text may quote a county's file."""
    told = {"begun_at": begun_at.isoformat(timespec="seconds"), "outcome": outcome, "fault": type(fault).__name__ if fault else None, "step": step}
    path = settings.home / CYCLE_NOTE
    draft = path.with_name(f".{CYCLE_NOTE}.{os.getpid()}")
    try:
        draft.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)


def describe(found: Health) -> str:
    """For a person at a terminal."""
    lines = ["健康" if found.healthy else "不健康", ""]
    for check in found.checks:
        values = "  ".join(f"{name}={_short(value)}" for name, value in check.values.items())
        lines.append(f"{'正常' if check.ok else '异常'}  {check.name:<12}{values}")
        lines += [f"      {text}" for text in check.causes.values()]
    return "\n".join(lines)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return str(sum(len(v) if isinstance(v, list) else 1 for v in value.values())) if value else "0"
    return f"{value}"
