"""What the data say about difficulties: who falls behind, what is overdue, what is missing, carried forward or waived.

Each function returns elements; every count in them is that of a listing, which has its own source.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from ingestion.contracts import contracts
from reporting.brief.composer import Composer, code_name
from reporting.brief.elements import Element, Paragraph, Run, Table
from reporting.brief.writing import in_table, rounded
from reporting.metrics import county_name
from warehouse.dbt_sources import accumulating, forms_of_marts

TRACE = ("mart", "week", "county", "key", "column")


def _place(composer: Composer, alias: str = "f") -> str:
    return f" and {alias}.county_code = '{composer.county}'" if composer.county else ""


def _sentence(*parts: str | Run) -> Paragraph:
    return Paragraph(tuple(p if isinstance(p, Run) else Run(p) for p in parts))


def _names(codes: Any) -> str:
    return "、".join(county_name(c) for c in dict.fromkeys(codes))


def _traced(mart: str, week: str, key: str, column: str) -> str:
    return f"'{mart}' as trace_mart, {week} as trace_week, f.county_code as trace_county, f.{key} as trace_key, '{column}' as trace_column"


def unmet_criteria(composer: Composer) -> list[Element]:
    rows, number = composer.listing(
        "未达标摘帽指标",
        f"select f.county_code, f.criterion, f.standard_value, f.current_value, f.gap_note, {_traced('fct_county_exit_weekly', 'f.week', 'criterion', 'current_value')} "
        f"from marts.fct_county_exit_weekly f where f.week = '{composer.period.week}' and not f.is_met{_place(composer)} order by f.county_code, f.criterion",
        "marts.fct_county_exit_weekly", TRACE,
    )  # fmt: skip
    if not rows:
        return []
    lines = [
        (Run(county_name(r["county_code"])), Run(code_name("EXI01", "criterion", r["criterion"])), Run(rounded(r["standard_value"])), Run(rounded(r["current_value"])),
         Run(r["gap_note"] or "（缺：未说明）", missing=not r["gap_note"]))
        for r in rows
    ]  # fmt: skip
    header = (Run("县（市、区）"), Run("指标", number), Run("标准值"), Run("当前值"), Run("存在问题"))
    return [Table("未达标摘帽指标", header, tuple(lines), wide=(4,))]


def behind_target(composer: Composer) -> list[Element]:
    target = composer.target()
    if target.missing:
        return [_sentence("序时支出进度要求", target, "。")]
    query = (
        "select f.county_code, f.fund_line, f.arrived, f.spent, f.spending_rate, f.carried_from_week, t.target_rate, "
        f"{_traced('fct_fiscal_fund_weekly', 'f.week', 'fund_line', 'spending_rate')} from marts.fct_fiscal_fund_weekly f "
        f"join reference.spending_targets t on t.month_end = (select max(month_end) from reference.spending_targets where month_end <= f.as_of_date and year = extract(year from f.as_of_date)) "
        f"join marts.dim_fund_line l using (fund_line) where f.week = '{composer.period.week}' and f.spent < t.target_rate * f.arrived{_place(composer)} order by f.county_code, l.position"
    )
    rows, number = composer.listing("支出进度低于序时要求", query, "marts.fct_fiscal_fund_weekly, reference.spending_targets", TRACE)
    if not rows:
        return [_sentence("各县各资金类别支出率均达到序时要求", target, Run("（见来源）", number), "。")]
    counties = dict.fromkeys(r["county_code"] for r in rows)
    said = _sentence("对照序时支出进度要求（", target, "），", Run(f"{len(counties)}个县共{len(rows)}个资金类别", number), f"支出率偏低：{_names(counties)}。")
    lines = [
        (
            Run(county_name(r["county_code"]), marked=bool(r["carried_from_week"])), Run(code_name("FUN01", "fund_line", r["fund_line"])),
            Run(in_table(r["arrived"], "yuan")), Run(in_table(r["spent"], "yuan")), Run(in_table(r["spending_rate"], "fraction")),
            Run(rounded((r["target_rate"] - r["spending_rate"]) * 100)),
        )
        for r in rows
    ]  # fmt: skip
    header = (Run("县（市、区）"), Run("资金类别"), Run("到位（万元）"), Run("支出（万元）"), Run("支出率（%）", number), Run("低于要求（百分点）"))
    return [said, Table("支出进度低于序时要求的资金", header, tuple(lines))]


def weak_points(composer: Composer) -> list[Element]:
    """Per project kind the county that has completed least; relocation sites with households without work."""
    found: list[Element] = []
    week, own = composer.period.week, _place(composer)
    if not composer.county:
        query = (
            f"select distinct on (f.project_kind) f.project_kind, f.county_code, f.completion_rate, {_traced('fct_campaign_weekly', 'f.week', 'project_kind', 'completion_rate')} "
            f"from marts.fct_campaign_weekly f where f.week = '{week}' and f.completion_rate is not null order by f.project_kind, f.completion_rate, f.county_code"
        )
        rows, number = composer.listing("四大战役各类项目竣工率最低的县", query, "marts.fct_campaign_weekly", TRACE)
        if rows:
            told = "；".join(f"{code_name('CAM01', 'project_kind', r['project_kind'])}：{county_name(r['county_code'])}（{in_table(r['completion_rate'], 'fraction')}%）" for r in rows)
            found.append(_sentence("四大战役各类项目竣工率最低的县——", Run(told, number), "。"))
    query = (
        f"select f.county_code, f.site_name, f.zero_employment_households, {_traced('fct_relocation_weekly', 'f.week', 'site_code', 'zero_employment_households')} "
        f"from marts.fct_relocation_weekly f where f.week = '{week}' and f.zero_employment_households > 0{own} order by f.zero_employment_households desc, f.county_code, f.site_code"
    )
    rows, number = composer.listing("存在零就业户的安置点", query, "marts.fct_relocation_weekly", TRACE)
    if rows:
        first = rows[0]
        found.append(
            _sentence("存在零就业户的安置点", Run(f"{len(rows)}个", number), f"，涉及{_names(sorted({r['county_code'] for r in rows}))}；最多的是{first['site_name']}（{first['zero_employment_households']}户）。")
        )
    query = (
        f"select f.county_code, f.household_key, {_traced('fct_monitored_household', 'f.week', 'household_key', 'alert_level')} from marts.fct_monitored_household f "
        f"where f.week = '{week}' and f.is_open and f.alert_level = 'red' and f.intervention is null{own} order by 1, 2"
    )
    rows, number = composer.listing("红色预警未登记帮扶措施", query, "marts.fct_monitored_household", TRACE)
    if rows:
        found.append(_sentence("红色预警未登记帮扶措施的监测对象", Run(f"{len(rows)}户", number), f"，涉及{_names(r['county_code'] for r in rows)}。"))
    return found or [_sentence("未发现零就业安置点和红色预警未落实帮扶的情况", Run("（见来源）", number), "。")]


def overdue_rectification(composer: Composer) -> list[Element]:
    with_week = composer.connection.execute("select week from store.publication where publication_id = %s", [composer.publication]).fetchone()
    if with_week != (composer.period.week,):
        return [Paragraph((Run(f"（缺：台账只有发布当周（{with_week[0]}）的状态）", missing=True),))]
    query = (
        "select f.county_code, f.finding_no, f.source, f.aspect, f.due_date, f.as_of_date - f.due_date as days, "
        "'fct_rectification' as trace_mart, f.county_code as trace_county, f.finding_no as trace_key, 'is_overdue' as trace_column "
        f"from marts.fct_rectification f where f.is_overdue{_place(composer)} order by days desc, f.county_code, f.finding_no"
    )
    rows, number = composer.listing("超时限未整改问题", query, "marts.fct_rectification", ("mart", "county", "key", "column"))
    if not rows:
        return [_sentence("没有超时限未整改的问题", Run("（见来源）", number), "。")]
    counts: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        counts[row["county_code"]].append(row["days"])
    lines = [(Run(county_name(c)), Run(str(len(days))), Run(str(max(days)))) for c, days in sorted(counts.items(), key=lambda item: (-len(item[1]), item[0]))]
    said = _sentence("超时限未整改问题", Run(f"{len(rows)}个", number), f"，涉及{len(counts)}个县。")
    return [said, Table("超时限未整改问题", (Run("县（市、区）"), Run("问题（个）", number), Run("最长超期（天）")), tuple(lines))]


def reporting(composer: Composer) -> list[Element]:
    """Forms of the period's last week that are missing or were returned, as the rules judged them last."""
    week = composer.period.week
    query = (
        f"select f.status, f.county_code, f.form from quality.reporting_status f where f.week = '{week}' and f.status in ('missing', 'returned', 'late', 'empty'){_place(composer)} order by f.status, f.county_code, f.form"
    )
    rows, number = composer.listing("报送情况", query, "quality.reporting_status", commands=(f"warehouse status --week {week}",))
    if not rows:
        return [_sentence(f"{week}各表均按时报送并采用", Run("（见来源）", number), "。")]
    words = {"missing": "缺报", "returned": "退回未更正", "late": "迟报", "empty": "空报"}
    counts = {status: [r for r in rows if r["status"] == status] for status in words}
    told = "，".join(f"{words[status]}{len({r['county_code'] for r in mine})}个县{len(mine)}张表" for status, mine in counts.items() if mine)
    lines = []
    for county in sorted({r["county_code"] for r in rows}):
        forms = {status: [r["form"] for r in mine if r["county_code"] == county] for status, mine in counts.items()}
        late = "；".join(f"{words[s]}：{_forms(forms[s])}" for s in ("late", "empty") if forms[s])
        lines.append((Run(county_name(county)), Run(_forms(forms["missing"]) or "—"), Run(_forms(forms["returned"]) or "—"), Run(late or "—")))
    header = (Run("县（市、区）"), Run("缺报", number), Run("退回未更正", number), Run("迟报、空报", number))
    return [_sentence(f"{week}各县报送：", Run(told, number), "。"), Table(f"{week}未按要求报送的报表", header, tuple(lines), wide=(1, 2, 3))]


def _forms(forms: list[str]) -> str:
    every = [f for f in contracts().codes]
    return "全部报表" if len(forms) >= len(every) - 2 else "、".join(contracts().form(f).zh.removesuffix("周报表").removesuffix("表") for f in forms)


def carried_and_waived(composer: Composer) -> list[Element]:
    week = composer.period.week
    parts = [
        f"select '{form}' as form, f.county_code, f.carried_from_week, min(f.{key}::text) as trace_key from marts.{mart} f where f.week = '{week}' and f.carried_from_week is not null{_place(composer)} group by 2, 3"
        for mart, form, key in _weekly_marts()
    ]
    inner = " union all ".join(parts)
    pairs = ", ".join(f"('{form}', '{mart}')" for mart, form, _ in _weekly_marts())
    query = (
        f"select c.*, m.mart as trace_mart, '{week}' as trace_week, c.county_code as trace_county, 'carried_from_week' as trace_column "
        f"from ({inner}) c join (values {pairs}) m (form, mart) using (form) order by 2, 1"
    )
    rows, number = composer.listing("沿用往期数", query, "marts.fct_*", TRACE)
    found: list[Element] = []
    if rows:
        by_form: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            by_form[row["form"]].append(f"{county_name(row['county_code'])}（{row['carried_from_week']}）")
        counties = {r["county_code"] for r in rows}
        found.append(_sentence("沿用往期数的", Run(f"{len(counties)}个县{len(rows)}张表", number), "，已在正文以※标注。"))
        lines = [(Run(contracts().form(form).zh), Run("、".join(names))) for form, names in sorted(by_form.items())]
        found.append(Table("沿用往期数的报表", (Run("报表"), Run("县（数据所属周）", number)), tuple(lines), wide=(0, 1)))
    else:
        found.append(_sentence("没有沿用往期数的报表", Run("（见来源）", number), "。"))
    query = (
        "select f.rule_id, f.county_code, w.reason_zh, w.granted_by, count(*) as times from quality.finding f join quality.waiver w using (waiver_id) "
        f"where f.week between '{composer.period.since}' and '{week}'{_place(composer)} group by 1, 2, 3, 4 order by 1, 2"
    )
    rows, number = composer.listing("豁免的规则", query, "quality.finding, quality.waiver", commands=("warehouse waivers",))
    if not rows:
        return [*found, _sentence("本期没有数据因规则豁免而采用", Run("（见来源）", number), "。")]
    told = "；".join(f"{county_name(r['county_code'])}{r['rule_id']}（{r['times']}处，{r['granted_by']}批准，{r['reason_zh']}）" for r in rows)
    return [*found, _sentence("因规则豁免而采用的数据", Run(f"{sum(r['times'] for r in rows)}处", number), f"：{told}。")]


def _weekly_marts() -> list[tuple[str, str, str]]:
    from warehouse.dbt_sources import key_columns

    of = contracts()
    return [(mart, form, key_columns(of, form)[-1]) for mart, form in forms_of_marts().items() if not accumulating(form)]


def epidemic_measures(composer: Composer) -> list[Element]:
    """What counties wrote about measures, impact by impact, where something is not resolved."""
    query = (
        f"select f.county_code, f.impact, f.unresolved, f.measure, {_traced('fct_epidemic_impact_weekly', 'f.week', 'impact', 'measure')} from marts.fct_epidemic_impact_weekly f "
        f"where f.week = '{composer.period.week}' and f.unresolved > 0{_place(composer)} order by f.impact, f.unresolved desc, f.county_code"
    )
    rows, number = composer.listing("尚未解决的影响和应对措施", query, "marts.fct_epidemic_impact_weekly", TRACE)
    if not rows:
        return [_sentence("各类影响均已解决", Run("（见来源）", number), "。")]
    of_impact: dict[str, list[dict]] = defaultdict(list)
    for row in rows:
        of_impact[row["impact"]].append(row)
    labels = next(f.values for f in contracts().form("EPI01").fields if f.name == "impact")
    lines = []
    for impact in (i for i in labels if i in of_impact):
        mine = of_impact[impact]
        measures = "；".join(dict.fromkeys(r["measure"] for r in mine if r["measure"]))
        told = "、".join(f"{county_name(r['county_code'])}{in_table(r['unresolved'], 'of_the_row')}" for r in mine)
        lines.append((Run(labels[impact][0]), Run(told), Run(measures or "（缺：未填报）", missing=not measures)))
    return [Table("尚未解决的影响和应对措施", (Run("影响类别"), Run("未解决数", number), Run("应对措施")), tuple(lines), wide=(0, 1, 2))]


LISTS: dict[str, Callable[[Composer], list[Element]]] = {
    f.__name__: f for f in (unmet_criteria, behind_target, weak_points, overdue_rectification, reporting, carried_and_waived, epidemic_measures)
}
