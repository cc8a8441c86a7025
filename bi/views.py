"""The schema `bi`: what dashboards read. The overviews of `marts` once more, as of every publication.

A BI tool cannot set `warehouse.publication` for a reader's query, so here the publication is a column: each row stands
once for every publication that shows it. A query names one publication; PostgreSQL then reads what `marts` reads, because
the condition reaches the row versions of the store. Reporting states and findings are as judged last: they have no publication.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import psycopg
from psycopg import sql

from ingestion.contracts import contracts
from reporting.overviews import Overview, overviews
from warehouse.dbt_sources import accumulating, forms_of_marts
from warehouse.settings import WarehouseError

LABEL = "'第' || {p}.publication_id || '号（' || {p}.week || '）'"
LONG = 20  # characters; what is longer explains itself behind a colon
HIDDEN = ("leader", "remark")  # free text about persons, of no use to a chart
_JOIN = re.compile(r"^left join marts\.(\w+) as (\w+) on (.*)$")
STATES = {"expected": "… 未到期", "on_time": "✔ 已报", "late": "△ 迟报", "empty": "○ 空报", "returned": "↩ 退回", "corrected": "✔ 补报", "missing": "✘ 缺报"}
LIVES = {"new": "新增", "persisting": "持续", "reopened": "重新出现", "resolved": "已解决", "waived": "已豁免"}
RESULTS = {
    "pass": "通过", "pass_with_violations": "通过（有提示）", "fail": "未通过", "error": "检查出错", "not_applicable": "不适用",
    "not_evaluable": "无法判定", "missing": "没有结果",
}  # fmt: skip


@dataclass(frozen=True)
class View:
    """A view of the schema. ``columns``: name → Chinese title, in order; ``needs``: relations that must be there."""

    name: str
    query: str
    columns: dict[str, str]
    needs: tuple[str, ...] = ()


def views() -> list[View]:
    """Every view there ought to be, in the order in which they can be made."""
    return [_publications(), _weeks(), _targets(), *map(_history, overviews()), _coverage(), _statuses(), _punctuality(), _checks(), _findings()]


def _standing(alias: str) -> str:
    return f"{alias}.opened_in <= p.publication_id and ({alias}.closed_in is null or {alias}.closed_in > p.publication_id)"


def _history(overview: Overview) -> View:
    """An overview for every publication: the same columns, from the row versions of the store."""
    columns = [c for c in overview.columns if c.name not in ("publication_id", *HIDDEN)]
    joins, needs = [], [f"store.{overview.mart}"]
    for text in overview.joins:
        dimension, alias, condition = _JOIN.match(text).groups()
        joins.append(f"left join store.{dimension} as {alias} on {condition} and {_standing(alias)}")
        needs.append(f"store.{dimension}")
    select = ",\n    ".join(["p.publication_id", f"{LABEL.format(p='p')} as publication", *(f"{c.expression} as {c.name}" for c in columns)])
    query = f"select\n    {select}\nfrom store.publication as p\ninner join store.{overview.mart} as f on {_standing('f')}\n" + "\n".join(joins)
    titles = {"publication_id": "发布号", "publication": "发布"} | {c.name: title(c.comment) for c in columns}
    return View(overview.name, query, titles, tuple(needs))


def title(comment: str) -> str:
    """The Chinese heading in a column's comment: without unit, explanation or English."""
    zh = re.split(r"（单位|＝|（本库计算）| \| ", comment)[0].replace("（名称）", "").replace("名称", "").replace("（周日）", "")
    return zh.partition("：")[0] if len(zh) > LONG else zh.strip()


def _publications() -> View:
    query = f"""select p.publication_id, {LABEL.format(p="p")} as publication, p.week, to_date(p.week || '-7', 'IYYY-"W"IW-ID') as as_of_date,
    (p.published_at at time zone 'UTC')::date as published_date, p.approved_by, p.trigger,
    p.publication_id = (select max(publication_id) from store.publication) as is_latest
from store.publication as p"""
    return View(
        "publication", query,
        {"publication_id": "发布号", "publication": "发布", "week": "发布周", "as_of_date": "截至日期", "published_date": "发布日期", "approved_by": "批准人",
         "trigger": "发布原因", "is_latest": "是否最新"},
    )  # fmt: skip


def _weeks() -> View:
    query = f"""select p.publication_id, {LABEL.format(p="p")} as publication, w.week, w.as_of_date
from store.publication as p inner join store.dim_week as w on {_standing("w")} and w.week <= p.week"""
    return View("week", query, {"publication_id": "发布号", "publication": "发布", "week": "报送周", "as_of_date": "截至日期"}, ("store.dim_week",))


def _targets() -> View:
    query = "select year, month_end, target_rate from reference.spending_targets"
    return View("spending_target", query, {"year": "年度", "month_end": "月末", "target_rate": "序时支出要求"})


def _coverage() -> View:
    """Whose figures a week rests on, by form and county: own ones, or those of an earlier week; a ledger's are as last sent."""
    forms = forms_of_marts()
    titles = "\n".join(f"    when '{code}' then '{contracts().form(code).zh}'" for code in sorted(forms.values()))
    carried = "\n    union all\n    ".join(
        f"select distinct p.publication_id, '{form}' as form, f.week, f.county_code, f.carried_from_week "
        f"from store.publication as p inner join store.{mart} as f on {_standing('f')} where f.carried_from_week is not null"
        for mart, form in forms.items() if any(c.name == "carried_from_week" for o in overviews() if o.mart == mart for c in o.columns)
    )  # fmt: skip
    ledger = "\n    union all\n    ".join(
        f"select p.publication_id, '{form}', p.week, f.county_code, max(f.last_seen_week) from store.publication as p "
        f"inner join store.{mart} as f on {_standing('f')} group by 1, 3, 4 having max(f.last_seen_week) < p.week"
        for mart, form in forms.items() if accumulating(form)
    )  # fmt: skip
    query = f"""select c.publication_id, {LABEL.format(p="p")} as publication, c.form, case c.form\n{titles}\n    end as form_name,
    c.week, c.county_code, county.county_name, c.carried_from_week, c.carried_from_week is not null as is_carried
from (
    select distinct p.publication_id, s.form, s.week, s.county_code, null::text as carried_from_week
    from store.publication as p inner join store.dim_submission as s on {_standing("s")}
    union all
    {carried}
    union all
    {ledger}
) as c
inner join store.publication as p on p.publication_id = c.publication_id
left join store.dim_county as county on county.county_code = c.county_code and {_standing("county")}"""
    return View(
        "coverage", query,
        {"publication_id": "发布号", "publication": "发布", "form": "表号", "form_name": "报表", "week": "报送周", "county_code": "县（市、区）编码",
         "county_name": "县（市、区）", "carried_from_week": "沿用周次", "is_carried": "是否沿用往期数"},
        ("store.dim_submission", *(f"store.{mart}" for mart in forms)),
    )  # fmt: skip


def _case(column: str, words: dict[str, str]) -> str:
    return f"case {column} " + " ".join(f"when '{k}' then '{v}'" for k, v in words.items()) + " end"


def _form_name(column: str) -> str:
    return _case(column, {code: contracts().form(code).zh for code in sorted(forms_of_marts().values())} | {"*": "整份工作簿"})


_COUNTY = "left join reference.counties as county on county.county_code = {alias}.county_code"


def _statuses() -> View:
    query = f"""select s.week, s.form, {_form_name("s.form")} as form_name, s.county_code, county.county_name, s.status, {_case("s.status", STATES)} as status_name
from quality.reporting_status as s {_COUNTY.format(alias="s")}"""
    return View(
        "reporting_status", query,
        {"week": "报送周", "form": "表号", "form_name": "报表", "county_code": "县（市、区）编码", "county_name": "县（市、区）", "status": "状态码", "status_name": "报送状态"},
    )  # fmt: skip


def _punctuality() -> View:
    query = f"""select s.week, s.county_code, county.county_name, s.forms_due, s.on_time, s.late, s.corrected, s.returned, s.missing
from quality.punctuality as s {_COUNTY.format(alias="s")}"""
    return View(
        "punctuality", query,
        {"week": "报送周", "county_code": "县（市、区）编码", "county_name": "县（市、区）", "forms_due": "应报", "on_time": "按时", "late": "迟报", "corrected": "补报",
         "returned": "退回", "missing": "缺报"},
    )  # fmt: skip


def _checks() -> View:
    query = f"""select g.week, g.form, {_form_name("g.form")} as form_name, g.county_code, county.county_name, g.rule_id, rule.text_zh as rule_name, g.status,
    {_case("g.status", RESULTS)} as status_name, {_case("g.severity", {"error": "错误", "warning": "警告"})} as severity_name, g.rows_checked, g.rows_violated
from quality.check_grid as g {_COUNTY.format(alias="g")} left join quality.rule as rule on rule.rule_id = g.rule_id"""
    return View(
        "check_result", query,
        {"week": "报送周", "form": "表号", "form_name": "报表", "county_code": "县（市、区）编码", "county_name": "县（市、区）", "rule_id": "规则", "rule_name": "规则名称",
         "status": "结果码", "status_name": "检查结果", "severity_name": "级别", "rows_checked": "检查行数", "rows_violated": "违反行数"},
    )  # fmt: skip


def _findings() -> View:
    query = f"""select l.week, l.form, {_form_name("l.form")} as form_name, l.county_code, county.county_name, l.rule_id, rule.text_zh as rule_name,
    {_case("l.severity", {"error": "错误", "warning": "警告"})} as severity_name, l.life, {_case("l.life", LIVES)} as life_name, l.since_week
from quality.finding_life as l {_COUNTY.format(alias="l")} left join quality.rule as rule on rule.rule_id = l.rule_id
where l.week is not null and l.county_code is not null"""
    return View(
        "finding", query,
        {"week": "报送周", "form": "表号", "form_name": "报表", "county_code": "县（市、区）编码", "county_name": "县（市、区）", "rule_id": "规则", "rule_name": "规则名称",
         "severity_name": "级别", "life": "状态码", "life_name": "问题状态", "since_week": "始于"},
    )  # fmt: skip


# ---------------------------------------------------------------- making them


def ensure(connection: psycopg.Connection) -> list[str]:
    """Make the views that are missing or differ; returns their names. Safe to repeat; grants of the schema's reader hold.

    Raises WarehouseError before the first publication, because there is nothing to read yet.
    """
    if connection.execute("select not exists (select from store.publication)").fetchone()[0]:
        raise WarehouseError("Nothing has been published yet: run `make run`, or `warehouse cycle --inbox FOLDER`, before the dashboards.")
    made = []
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtext('bi views'))")
        connection.execute("create schema if not exists bi")
        connection.execute("comment on schema bi is '看板读取的视图：marts 的宽表按每次发布展开 | What dashboards read: the overviews of marts as of every publication'")
        for view in views():
            lacking = [name for name in view.needs if connection.execute("select to_regclass(%s)", [name]).fetchone()[0] is None]
            if lacking:
                raise WarehouseError(f"{', '.join(lacking)} is not published yet: run `warehouse cycle` once more, then start the dashboards again.")
            mark = hashlib.sha256((view.query + repr(view.columns)).encode()).hexdigest()[:12]
            standing = connection.execute("select obj_description(to_regclass(%s))", [f"bi.{view.name}"]).fetchone()[0] or ""
            if not standing.endswith(f"[{mark}]"):
                _make(connection, view, mark)
                made.append(view.name)
    return made


def _make(connection: psycopg.Connection, view: View, mark: str) -> None:
    target = sql.Identifier("bi", view.name)
    connection.execute(sql.SQL("drop view if exists {}").format(target))
    connection.execute(sql.SQL("create view {} as ").format(target) + sql.SQL(view.query))
    connection.execute(sql.SQL("comment on view {} is {}").format(target, sql.Literal(f"看板用 | For dashboards [{mark}]")))
    for name, text in view.columns.items():
        connection.execute(sql.SQL("comment on column {} is {}").format(sql.Identifier("bi", view.name, name), sql.Literal(text)))
