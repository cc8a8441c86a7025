"""Everything the pages show, drawn in a handful of set-based queries; pages themselves ask the database nothing."""

from __future__ import annotations

import datetime as dt
import re
import shlex
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from expectations.anomalies import listing
from ingestion.contract_model import Contracts, Form, Rule
from ingestion.contracts import contracts
from ingestion.reference import Codes, codes
from ingestion.rule_words import how_to_mend, rule_in_words
from warehouse.dbt_sources import forms_of_marts
from warehouse.trace.origins import origins

STATUS = {
    "on_time": "准时",
    "late": "迟报",
    "returned": "退回",
    "missing": "缺报",
    "empty": "空报",
    "corrected": "补报",
    "expected": "应报",
}
SIGN = {"on_time": "✓", "late": "迟", "returned": "退", "missing": "缺", "empty": "空", "corrected": "补", "expected": "应"}
RESULT = {
    "pass": "通过",
    "fail": "不通过",
    "pass_with_violations": "有提醒",
    "not_applicable": "不适用",
    "not_evaluable": "无法判定",
    "error": "检查出错",
    "missing": "没有结果",
}
RESULT_SIGN = {"pass": "✓", "fail": "✕", "pass_with_violations": "！", "not_applicable": "－", "not_evaluable": "？", "error": "误", "missing": "∅"}
LIFE = {"new": "新增", "persisting": "持续", "reopened": "重新出现", "resolved": "已解决", "waived": "已豁免"}
OWNER = {"county": "县", "data_team": "数据组", "rule_owner": "规则制定方"}
ANOMALY = {"outlier": "突变", "restatement": "改基数", "frozen": "长期不变", "round_digits": "尾数过整", "even_digits": "尾数过匀"}
ANOMALY_VERDICT = {"confirmed": "确属有误", "explained": "有因", "false_alarm": "误报"}
FINDING_STATUS = {"open": "未解决", "resolved": "已解决", "superseded": "已换新报", "waived": "已豁免"}
SEVERITY = {"error": "错误", "warning": "提醒"}
STAGE = {"reading": "读取", "acceptance": "接收", "judgement": "综合判定"}
REVISION = {"revised": "修改", "added": "新增", "removed": "删除"}
DECISION = {"approved": "批准", "rejected": "驳回", "lapsed": "逾期未答", "overtaken": "已被新的检查取代", None: "待答复"}
TRIGGER = {"weekly": "周发布", "correction": "更正", "backfill": "补录", "withdrawal": "撤回"}
VERDICT = {"clean": "通过", "warnings": "通过，有提醒", "blocked": "未通过", None: "检查中"}
ID_NUMBER = re.compile(r"(?<!\d)(\d{3})\d{11}(\d{3}[\dXx])(?!\d)")  # masked at the source already; a second lock


@dataclass(slots=True)
class Status:
    status: str
    punctual: bool


@dataclass
class Facts:
    """What the database says, ready for the templates. Weeks ascend; codes are keys throughout."""

    counties: dict[str, str]
    forms: list[Form]
    weeks: list[str] = field(default_factory=list)
    week: str | None = None  # the week the pages open with
    status: dict[tuple[str, str, str], Status] = field(default_factory=dict)  # (week, county, form)
    findings: list[dict[str, Any]] = field(default_factory=list)
    results: dict[str, dict[tuple[str, str], str]] = field(default_factory=dict)  # rule → (week, county) → worst status
    result_counts: dict[str, Counter] = field(default_factory=dict)  # rule → status → county-weeks
    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)  # (week, county) → read, loaded, rejected
    publications: list[dict[str, Any]] = field(default_factory=list)
    run: dict[str, Any] | None = None
    files: Counter = field(default_factory=Counter)  # outcome → files
    waivers: list[dict[str, Any]] = field(default_factory=list)
    anomalies: list[dict[str, Any]] = field(default_factory=list)
    punctuality: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)  # (week, county)
    approvals: dict[int, dict[str, Any]] = field(default_factory=dict)  # check run → the last request for approval
    revisions: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # publication → figures of earlier weeks that it changed

    @property
    def publication(self) -> dict[str, Any] | None:
        return self.publications[-1] if self.publications else None


def load(connection: psycopg.Connection, zone: ZoneInfo, weeks: list[str], since_publication: int = 1) -> Facts:
    """Read all there is of some weeks, and the publications from a number on, in the caller's transaction. An empty warehouse gives empty lists, never an error."""
    known, lists = contracts(), codes()
    connection.execute("select set_config('warehouse.weeks_from', %s, true)", [weeks[0] if weeks else ""])
    facts = Facts(_counties(connection, lists, weeks), [known.form(c) for c in known.codes])
    _statuses(connection, facts, weeks)
    _rules(connection, facts, known)
    _findings(connection, facts, known, lists, zone, weeks)
    _results(connection, facts, weeks)
    _ledger(connection, facts, zone, weeks, since_publication)
    load_anomalies(connection, facts, known, lists, weeks)
    for week, county, read, loaded, rejected in connection.execute(
        """select week, county_code, sum(rows_read), sum(rows_loaded), sum(rows_rejected) from intake.submission
           where week = any(%s) and county_code is not null group by 1, 2""",
        [weeks],
    ):
        facts.rows[week, county] = (int(read), int(loaded), int(rejected))
    if not weeks:
        facts.files = Counter(dict(connection.execute("select coalesce(outcome, 'waiting'), count(*) from intake.file group by 1").fetchall()))
    judged = facts.run["publish_week"] if facts.run else None
    facts.week = judged or (facts.publication or {}).get("week") or (facts.weeks[-1] if facts.weeks else None)
    if facts.week and facts.week not in facts.weeks:
        facts.weeks = sorted({*facts.weeks, facts.week})
    return facts


def _counties(connection: psycopg.Connection, lists: Codes, weeks: list[str]) -> dict[str, str]:
    """Counties in being, and any other code that something was reported under."""
    standing = [c.code for c in lists.counties.values() if c.valid_to is None]
    told = [c for (c,) in connection.execute("select distinct county_code from quality.reporting_status where week = any(%s)", [weeks])]
    return {code: lists.county_name(code) for code in sorted({*standing, *told})}


def _statuses(connection: psycopg.Connection, facts: Facts, weeks: list[str]) -> None:
    for week, county, form, status, punctual in connection.execute(
        """select r.week, r.county_code, r.form, r.status,
                  r.status in ('on_time', 'empty') and coalesce(s.received_at <= r.due_at, r.status = 'on_time')
           from quality.reporting_status r left join intake.submission s on s.submission_id = r.submission_id and s.week = any(%(weeks)s)
           where r.week = any(%(weeks)s)""",
        {"weeks": weeks},
    ):
        facts.status[week, county, form] = Status(status, punctual)
    facts.weeks = sorted({week for week, _, _ in facts.status})


def _rules(connection: psycopg.Connection, facts: Facts, known: Contracts) -> None:
    terms: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for rule_id, *about in connection.execute(
        "select distinct rule_id, valid_from, valid_to, severity, owner, threshold from quality.rule_term order by 1, 2"
    ):
        terms[rule_id].append(dict(zip(("valid_from", "valid_to", "severity", "owner", "threshold"), about, strict=True)))
    for rule_id, form, severity, scope, zh, en in connection.execute(
        "select rule_id, form, severity, scope, text_zh, text_en from quality.rule order by form, rule_id"
    ):
        rule: Rule | None = known.rules.get(rule_id)
        contract = known.form(form) if form in known.codes else None
        facts.rules[rule_id] = {
            "id": rule_id, "form": form, "form_zh": contract.zh if contract else "各表通用", "severity": severity, "scope": scope, "zh": zh, "en": en,
            "terms": terms.get(rule_id, []), "contract": f"ingestion/contracts/{form.lower()}.yaml {contract.version}" if contract else "", "words": rule_in_words(rule, contract) if rule else "", "mend": how_to_mend(rule, contract), "found": Counter(),
        }  # fmt: skip


def _findings(connection: psycopg.Connection, facts: Facts, known: Contracts, lists: Codes, zone: ZoneInfo, weeks: list[str]) -> None:
    rows = connection.execute(
        """select f.finding_id, f.rule_id, f.severity, f.stage, coalesce(f.week, '') as week, coalesce(f.county_code, '') as county,
                  coalesce(f.form, '') as form, f.member, f.sheet, f.cell, f.row_key, f.field, f.value, f.expected, f.difference,
                  f.message_zh, f.status, f.found_at, f.closed_at, coalesce(i.original_name, '') as file,
                  l.found_as, l.life, l.since_week, l.first_seen_week, l.resolved_week, l.owner
           from quality.finding f
           join quality.finding_life l using (finding_id)
           left join intake.submission s using (submission_id)
           left join intake.file i on i.file_id = coalesce(f.file_id, s.file_id)
           where f.week = any(%s) or f.week is null
           order by f.week desc nulls last, f.severity, f.county_code, f.form, f.rule_id, f.finding_id""",
        [weeks],
    )
    names = [c.name for c in rows.description]
    forms = {code: known.form(code) for code in known.codes}
    labels: dict[tuple, str] = {}
    for row in rows:
        one = dict(zip(names, row, strict=True))
        form = forms.get(one["form"])
        about = form.by_name.get(one["field"]) if form else None
        if about and about.personal and one["value"] and "*" not in one["value"]:
            one["value"] = "（个人信息，不显示）"
        for key in ("value", "expected", "difference", "message_zh", "row_key"):
            one[key] = ID_NUMBER.sub(r"\1***********\2", one[key] or "")
        one["field_zh"] = about.zh if about else ""
        one["form_zh"] = form.zh if form else ""
        one["county_zh"] = facts.counties.get(one["county"]) or (lists.county_name(one["county"]) if one["county"] else "")
        key = (one["form"], one["row_key"])
        if key not in labels:
            labels[key] = _label(form, one["row_key"], lists)
        one["row_zh"] = labels[key]
        one["found_at"] = one["found_at"].astimezone(zone)
        one["closed_at"] = one["closed_at"].astimezone(zone) if one["closed_at"] else None
        one["repeats"] = ""  # on a county's page: the week in which the same problem stands above
        mend = facts.rules[one["rule_id"]]["mend"] if one["rule_id"] in facts.rules else ""
        one["mend"] = "" if mend.rstrip("。") in one["message_zh"] else mend  # most messages say it themselves
        if one["rule_id"] in facts.rules:
            facts.rules[one["rule_id"]]["found"][one["status"]] += 1
        facts.findings.append(one)


def _label(form: Form | None, key: str, lists: Codes) -> str:
    """A row's key as people call it; identifiers and pseudonyms stay as they are."""
    if not form or not key:
        return key
    if form.key.values:
        return form.key.values.get(key, (key,))[0]
    if form.key.codes in ("township", "village"):
        return lists.place_name(key)
    return lists.industries.get(key, key) if form.key.codes == "industry" else key


def _results(connection: psycopg.Connection, facts: Facts, weeks: list[str]) -> None:
    gravity = {status: n for n, status in enumerate(("not_applicable", "not_evaluable", "pass", "pass_with_violations", "error", "fail"))}
    results: dict[str, dict[tuple[str, str], str]] = defaultdict(dict)
    counts: dict[str, Counter] = defaultdict(Counter)
    for rule, week, county, status, number in connection.execute(
        """select r.rule_id, w.week, r.county_code, r.status, count(*) from unnest(%s::text[]) w (week)
           cross join lateral (select distinct on (county_code, form, rule_id) rule_id, county_code, status from quality.check_result
                               where week = w.week order by county_code, form, rule_id, check_run_id desc) r
           group by 1, 2, 3, 4""",
        [weeks],
    ):
        counts[rule][status] += number
        have = results[rule].get((week, county))
        if have is None or gravity[status] > gravity[have]:
            results[rule][week, county] = status
    for rule, week, county, number in connection.execute(
        """select g.rule_id, w.week, g.county_code, count(*) from unnest(%s::text[]) w (week)
           cross join lateral (select rule_id, county_code from quality.check_grid where week = w.week and status = 'missing' offset 0) g
           group by 1, 2, 3""",
        [weeks],
    ):
        counts[rule]["missing"] += number
        results[rule][week, county] = "missing"  # nothing is worse than not to know
    facts.results, facts.result_counts = dict(results), dict(counts)


def _ledger(connection: psycopg.Connection, facts: Facts, zone: ZoneInfo, weeks: list[str], since_publication: int) -> None:
    def records(query: str, *values: Any) -> list[dict[str, Any]]:
        cursor = connection.execute(query, values)
        names = [c.name for c in cursor.description]
        found = [dict(zip(names, row, strict=True)) for row in cursor]
        for one in found:
            for key, value in one.items():
                if isinstance(value, dt.datetime):
                    one[key] = value.astimezone(zone)
        return found

    facts.publications = records(
        """select p.*, c.verdict, c.errors, c.warnings, c.judged_at from store.publication p
           left join quality.check_run c using (check_run_id) where publication_id >= %s order by publication_id""",
        since_publication,
    )
    facts.punctuality = {(p["week"], p["county_code"]): p for p in records(PUNCTUALITY, weeks)}
    runs = records("select * from quality.check_run where finished_at is not null order by check_run_id desc limit 1")
    facts.run = runs[0] if runs else None
    facts.waivers = records("select * from quality.waiver order by waiver_id desc")
    for one in facts.waivers:
        one["in_force"] = facts.run is None or one["expires_on"] >= facts.run["judged_at"].date()
    facts.approvals = {a["check_run_id"]: a for a in records("select * from quality.approval order by approval_id")}
    _revisions(facts, records(REVISIONS, since_publication))


# a week at a time: asked for a list of weeks, the view would join the whole register of submissions
PUNCTUALITY = "select p.* from unnest(%s::text[]) w (week) join lateral (select * from quality.punctuality p where p.week = w.week offset 0) p on true"
REVISIONS = """
select r.publication_id, r.mart, r.county_code, r.week, r.row_key, r.column_name, r.kind, r.old_value, r.new_value, r.submission_id, r.change_reason,
       s.version, f.original_name as file
from store.revision r left join intake.submission s using (submission_id) left join intake.file f using (file_id)
where r.publication_id >= %s
order by r.publication_id, r.week desc, r.county_code, r.mart, r.row_key, r.column_name"""


def _revisions(facts: Facts, rows: list[dict[str, Any]]) -> None:
    """With names in place of codes, and the command that tells where the new figure comes from."""
    known, lists, forms = contracts(), codes(), forms_of_marts()
    for one in rows:
        form, about = known.form(forms[one["mart"]]), origins(one["mart"])
        column = about.get(one["column_name"])
        one["form_zh"], one["column_zh"] = form.zh, column.description.split(" | ")[0] if column else one["column_name"]
        one["row_zh"] = _label(form, one["row_key"], lists)
        one["county_zh"] = facts.counties.get(one["county_code"], one["county_code"])
        gone = one["kind"] == "removed"
        parts = ["warehouse", "trace", "--mart", one["mart"], *(["--week", one["week"]] if "week" in about else []), "--county", one["county_code"]]
        parts += ["--key", one["row_key"], "--column", one["column_name"], "--publication", str(one["publication_id"] - gone)]
        one["command"] = shlex.join(parts)
        facts.revisions.setdefault(one["publication_id"], []).append(one)


def load_anomalies(connection: psycopg.Connection, facts: Facts, known: Contracts, lists: Codes, weeks: list[str]) -> None:
    """What stands out or was judged, with names in place of codes."""
    facts.anomalies = listing(connection, everything=True, since=weeks[0] if weeks else "")
    for one in facts.anomalies:
        form = known.form(one["form"])
        one["form_zh"] = form.zh
        one["row_zh"] = _label(form, one["row_key"], lists) if one["row_key"] else "全县"
        one["county_zh"] = facts.counties.get(one["county_code"], one["county_code"])
        unit = {"yuan": "元", "persons": "人", "households": "户"}.get(one["at_stake_unit"], "")
        stake = float(one["at_stake"])
        one["stake_zh"] = f"{stake / 10_000:,.1f}万元" if unit == "元" else f"{stake:,.0f}{unit}"


def county_status(facts: Facts, week: str) -> Counter:
    """Forms of one week by status."""
    return Counter(s.status for (w, _, _), s in facts.status.items() if w == week)


def week_span(week: str) -> str:
    """'2020-W24' → '6月8日—6月14日'."""
    monday, sunday = (dt.date.fromisocalendar(int(week[:4]), int(week[6:]), day) for day in (1, 7))
    return f"{monday.month}月{monday.day}日—{sunday.month}月{sunday.day}日"
