"""Superset's datasets: one for each view of `bi` that charts read, with the metrics of `reporting/metrics.yaml` on it.

A dataset asks for the publication and the week that the page's filters name, and takes the latest where they name none.
`weeks_back` is 0 for the rows of the week that is read. What may not be summed comes out empty, not wrong: a level is
NULL over several weeks, and so is a value over several of the columns that the catalogue lists under `never`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from bi.views import views
from ingestion.contracts import contracts
from reporting.metrics import Metric, catalogue, units
from reporting.overviews import overviews
from warehouse.dbt_sources import fact_columns, forms_of_marts

NAMESPACE = uuid.UUID("5d9a4d0e-6b39-5d0e-9d53-1f6c8a2b7e41")
DATABASE = "县级数据仓库"
SCHEMA = "bi"
SQL_TYPES = {"date": "DATE", "boolean": "BOOLEAN", "integer": "INTEGER", "bigint": "BIGINT", "text": "TEXT"}
ARITHMETIC = "NUMERIC"

READING = """(
    select p.publication_id, p.publication,
        {%- set chosen = filter_values('week', remove_filter=True)[:1] %}
        {% if chosen %}least(p.week, {{ chosen|where_in }}){% else %}p.week{% endif %} as week
    from bi.publication as p
    {%- set publications = filter_values('publication', remove_filter=True)[:1] %}
    where {% if publications %}p.publication in {{ publications|where_in }}{% else %}p.is_latest{% endif %}
)"""
COUNTIES = "{% set counties = filter_values('county_name') %}{% if counties %} and o.county_name in {{ counties|where_in }}{% endif %}"
DAY = "to_date({week} || '-7', 'IYYY-\"W\"IW-ID')"
AGES = ((30, "30天以内"), (90, "31—90天"), (180, "91—180天"))
AGE = "case " + " ".join(f"when o.days_open <= {days} then '{n}. {text}'" for n, (days, text) in enumerate(AGES, 1)) + f" else '{len(AGES) + 1}. 180天以上' end"


@dataclass(frozen=True)
class Measure:
    """A saved metric: its label (Chinese, unit in brackets), SQL, number format, and the catalogue's metric if it is one."""

    label: str
    expression: str
    form: str
    about: str
    name: str


@dataclass(frozen=True)
class Dataset:
    """``key`` is the view's name. ``columns``: name → (title, SQL type)."""

    key: str
    title: str
    sql: str
    columns: dict[str, tuple[str, str]]
    measures: dict[str, Measure] = field(default_factory=dict)  # by the catalogue's name, or one of our own
    weekly: bool = True

    @property
    def uuid(self) -> str:
        return identity("dataset", self.key)

    def document(self) -> dict:
        return {
            "table_name": self.title, "main_dttm_col": "as_of_date" if "as_of_date" in self.columns else None, "description": None, "default_endpoint": None,
            "offset": 0, "cache_timeout": None, "schema": SCHEMA, "sql": self.sql, "params": None, "template_params": None, "filter_select_enabled": True,
            "fetch_values_predicate": None, "extra": None, "normalize_columns": False, "always_filter_main_dttm": False, "uuid": self.uuid,
            "metrics": [
                {"metric_name": m.label, "verbose_name": m.label, "metric_type": None, "expression": m.expression, "description": m.about, "d3format": m.form,
                 "extra": None, "warning_text": None}
                for m in self.measures.values()
            ],
            "columns": [
                {"column_name": name, "verbose_name": title, "is_dttm": kind == "DATE", "is_active": True, "type": kind, "groupby": True, "filterable": True,
                 "expression": None, "description": None, "python_date_format": None, "extra": None}
                for name, (title, kind) in self.columns.items()
            ],
            "version": "1.0.0", "database_uuid": identity("database", "warehouse"), "is_managed_externally": True,
        }  # fmt: skip


def identity(kind: str, name: str) -> str:
    """The id that Superset knows a thing by; the same for ever, so that an import replaces what it imported before."""
    return str(uuid.uuid5(NAMESPACE, f"{kind}:{name}"))


def datasets() -> dict[str, Dataset]:
    """Every dataset by the name of its view."""
    found = {o.name: _of_overview(o.name, o.mart) for o in overviews()}
    found |= {d.key: d for d in (_publications(), _weeks(), _coverage(), *_quality())}
    return found


def measure(metric: Metric) -> Measure:
    """A metric of the catalogue as SQL over any rows of its mart: money in 万元, NULL where the rows may not be summed."""
    kept = [f"({c})" for c in (metric.filter, "carried_from_week is null" if metric.time == "flow" else None) if c]
    above = _filtered(metric, [*kept, *([f"({metric.where})"] if metric.where else [])])
    if metric.is_ratio:
        below = f"sum({metric.over})" + (f" filter (where {' and '.join(kept)})" if kept else "")
        value = f"({above})::numeric / nullif({below}, 0)"
    else:
        value = f"coalesce({above}, 0)" if metric.may_be_empty and metric.agg == "sum" else above
    if metric.unit == "yuan":
        value = f"({value}) / 10000.0"
    one = ["week"] if metric.time == "as_of" else []
    one += [] if metric.across else metric.never
    if one:
        value = f"case when {' and '.join(f'min({c}) = max({c})' for c in one)} then {value} end"
    word = {"yuan": "万元", "fraction": "", "of_the_row": ""}.get(metric.unit, units()[metric.unit]["zh"])
    label = f"{metric.zh}（{word}）" if word else metric.zh
    form = {"yuan": ",.1f", "fraction": ".1%", "yuan_per_household": ",.0f"}.get(metric.unit, ",.0f")
    return Measure(label, value, form, f"{metric.zh}：{metric.mart}，{metric.expression()}", metric.name)


def _filtered(metric: Metric, conditions: list[str]) -> str:
    text = {"count": "count(*)", "distinct": f"count(distinct {metric.value})", "sum": f"sum({metric.value})"}[metric.agg]
    return text + (f" filter (where {' and '.join(conditions)})" if conditions else "")


def _of_overview(name: str, mart: str) -> Dataset:
    form = forms_of_marts()[mart]
    kinds = {c["name"]: c["data_type"] for c in fact_columns(contracts(), form)}
    shown = next(v for v in views() if v.name == name).columns
    columns = {c: (title, _kind(c, kinds)) for c, title in shown.items() if c != "publication_id"}
    weekly = "week" in columns
    measures = {m.name: measure(m) for m in catalogue().values() if m.mart == mart}
    extra, joins, own = [], "", {}
    if weekly:
        label = "o.county_name || case when o.is_carried then '※' || right(o.carried_from_week, 3) else '' end"
        extra = [
            f"({DAY.format(week='r.week')} - o.as_of_date) / 7 as weeks_back",
            "right(o.week, 3) || case when bool_or(o.is_carried) over (partition by o.week) then '※' else '' end as week_label",
            f"{label} as county_label",
        ]
        own = {"weeks_back": ("距所选周（周）", "INTEGER"), "week_label": ("报送周（※有县沿用往期数）", "TEXT"), "county_label": ("县（市、区）（※沿用往期数）", "TEXT")}
    if name == "fiscal_fund_overview":
        lines = list(contracts().form(form).by_name["fund_line"].values.items())
        named = " ".join(f"when '{code}' then '{n} {words[0]}'" for n, (code, words) in enumerate(lines, 1))
        joins = "\nleft join lateral (select t.target_rate from bi.spending_target as t where t.month_end <= o.as_of_date and t.year = extract(year from o.as_of_date) order by t.month_end desc limit 1) as t on true"
        extra += ["t.target_rate", "case when o.spent < o.arrived * t.target_rate then '低于序时' else '达到序时' end as schedule_name", f"case o.fund_line {named} end as line_label"]
        own |= {"target_rate": ("序时支出要求", ARITHMETIC), "schedule_name": ("序时进度", "TEXT"), "line_label": ("资金类别（有重叠）", "TEXT")}
        measures["spending_target"] = Measure("序时支出要求", "max(target_rate)", ".1%", "截至该周最近一个月末的支出进度要求", "spending_target")
        behind = "count(distinct county_code) filter (where spent < arrived * target_rate)"
        measures["counties_behind"] = Measure("低于序时的县（个）", f"case when min(week) = max(week) and min(fund_line) = max(fund_line) then {behind} end", ",.0f", "支出÷到位低于序时支出要求的县", "counties_behind")
    if name == "rectification_overview":
        extra += [f"{AGE} as age_name", "case when o.is_overdue then '已超时限' when o.is_done then '已完成' else '在时限内' end as deadline_name"]
        own |= {"age_name": ("已历天数", "TEXT"), "deadline_name": ("时限情况", "TEXT")}
    if name == "exit_overview":
        extra += ["case when o.is_met then '✔ 达标' else '✘ 未达标' end as met_name"]
        own |= {"met_name": ("是否达标", "TEXT")}
        measures["met_name"] = Measure("达标情况", "case when count(*) = 1 then max(met_name) end", "", "一县一项指标一行", "met_name")
    if name == "village_exit_overview":
        extra += ["case when o.is_listed then '挂牌督战' else '一般' end as listed_name"]
        own |= {"listed_name": ("督战情况", "TEXT")}
    if name == "monitored_household_overview":
        extra += ["coalesce(o.intervention_name, '未落实') as intervention_text"]
        own |= {"intervention_text": ("帮扶措施", "TEXT")}
    shown_columns = ", ".join(f"o.{c}" for c in columns)
    select = ",\n    ".join([shown_columns, *extra])
    sql = f"select\n    {select}\nfrom {SCHEMA}.{name} as o\ninner join {READING} as r on r.publication_id = o.publication_id{joins}\nwhere {'o.week <= r.week' if weekly else 'true'}{COUNTIES}"
    return Dataset(name, contracts().form(form).zh, sql, columns | own, measures, weekly)


def _kind(column: str, kinds: dict[str, str]) -> str:
    kind = kinds.get(column) or ("boolean" if column.startswith("is_") else "text" if column.endswith(("_name", "_code")) or column == "publication" else "numeric")
    return SQL_TYPES.get(kind, ARITHMETIC)


def _publications() -> Dataset:
    columns = {"publication": ("发布", "TEXT"), "publication_id": ("发布号", "INTEGER"), "week": ("发布周", "TEXT"), "published_date": ("发布日期", "DATE"), "approved_by": ("批准人", "TEXT")}
    newest = Measure("最新", "max(publication_id)", ",.0f", "发布号", "newest")
    return Dataset("publication", "发布", f"select {', '.join(columns)} from bi.publication", columns, {"newest": newest})


def _weeks() -> Dataset:
    """The weeks that the publication of the filter shows."""
    columns = {"week": ("报送周", "TEXT"), "as_of_date": ("截至日期", "DATE")}
    chosen = "{% set publications = filter_values('publication', remove_filter=True)[:1] %}{% if publications %}w.publication in {{ publications|where_in }}{% else %}w.publication_id = (select max(publication_id) from bi.publication){% endif %}"
    return Dataset("week", "报送周", f"select w.week, w.as_of_date from bi.week as w where {chosen}", columns, {"newest": Measure("最新", "max(as_of_date)", "", "截至日期", "newest")})


def _coverage() -> Dataset:
    """What a page rests on, a row for each form and county of the week that is read; ledgers have the publication's own week."""
    columns = {
        "form": ("表号", "TEXT"), "form_name": ("报表", "TEXT"), "week": ("数据周", "TEXT"), "as_of_date": ("截至日期", "DATE"), "publication": ("发布", "TEXT"),
        "published_date": ("发布日期", "DATE"), "county_code": ("县（市、区）编码", "TEXT"), "county_name": ("县（市、区）", "TEXT"), "carried_text": ("沿用往期数的县", "TEXT"),
        "is_carried": ("是否沿用往期数", "BOOLEAN"),
    }  # fmt: skip
    sql = f"""select
    o.form, o.form_name, o.week, {DAY.format(week="o.week")} as as_of_date, o.publication, p.published_date, o.county_code, o.county_name, o.is_carried,
    case when o.is_carried then o.county_name || '（沿用' || right(o.carried_from_week, 3) || '）' end as carried_text
from bi.coverage as o
inner join {READING} as r on r.publication_id = o.publication_id and r.week = o.week
inner join bi.publication as p on p.publication_id = o.publication_id
where true{COUNTIES}"""
    measures = (
        Measure("本周报送（县）", "count(distinct county_code) filter (where not is_carried)", ",.0f", "有本周采用数据的县", "own"),
        Measure("沿用往期数（县）", "count(distinct county_code) filter (where is_carried)", ",.0f", "没有本周数据、沿用往期数的县", "carried"),
        Measure("※ 沿用的县和周次", "coalesce(string_agg(distinct carried_text, '、'), '无')", "", "图中以※标出", "carried_names"),
    )
    return Dataset("coverage", "数据说明", sql, columns, {m.name: m for m in measures})


def _quality() -> list[Dataset]:
    found = []
    for key, name in (("reporting_status", "报送状态"), ("punctuality", "报送及时情况"), ("check_result", "检查结果"), ("finding", "问题清单")):
        view = next(v for v in views() if v.name == key)
        numbers = ("forms_due", "on_time", "late", "corrected", "returned", "missing", "rows_checked", "rows_violated")
        columns = {c: (title, "INTEGER" if c in numbers else "TEXT") for c, title in view.columns.items()}
        sql = f"""select {', '.join(f'o.{c}' for c in columns)}, right(o.week, 3) as week_label,
    ({DAY.format(week="r.week")} - {DAY.format(week="o.week")}) / 7 as weeks_back
from bi.{key} as o
inner join {READING} as r on o.week <= r.week
where true{COUNTIES}"""
        columns |= {"week_label": ("报送周", "TEXT"), "weeks_back": ("距所选周（周）", "INTEGER")}
        found.append(Dataset(key, name, sql, columns, {m.name: m for m in QUALITY[key]}))
    return found


_DECIDED = "status in ('pass', 'pass_with_violations', 'fail')"
QUALITY = {
    "reporting_status": (Measure("报送状态", "case when count(*) = 1 then max(status_name) end", "", "一县一表一周一个状态", "status"),),
    "punctuality": (
        Measure("按时报送率", "sum(on_time)::numeric / nullif(sum(forms_due), 0)", ".1%", "按时÷应报", "on_time_rate"),
        Measure("应报（表次）", "sum(forms_due)", ",.0f", "应报表次", "forms_due"),
        Measure("迟报（表次）", "sum(late)", ",.0f", "截止时间后收到并采用", "late"),
        Measure("退回（表次）", "sum(returned)", ",.0f", "退回未更正", "returned"),
        Measure("缺报（表次）", "sum(missing)", ",.0f", "截止时间后仍未收到", "missing"),
    ),
    "check_result": (
        Measure("检查通过率", f"count(*) filter (where status in ('pass', 'pass_with_violations'))::numeric / nullif(count(*) filter (where {_DECIDED}), 0)", ".1%", "通过÷（通过＋未通过）；不适用、无法判定和没有结果的不计入", "pass_rate"),
        Measure("判定的检查（次）", f"count(*) filter (where {_DECIDED})", ",.0f", "检查通过率的分母", "decided"),
        Measure("没有判定（次）", f"count(*) filter (where not {_DECIDED})", ",.0f", "不适用、无法判定、没有结果", "undecided"),
    ),
    "finding": (
        Measure("问题（处）", "count(*)", ",.0f", "发现的问题", "findings"),
        Measure("未解决（处）", "count(*) filter (where life in ('new', 'persisting', 'reopened'))", ",.0f", "新增、持续、重新出现", "open"),
    ),
}  # fmt: skip
