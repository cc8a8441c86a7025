"""Wide views in `marts`, one for each fact: codes with their names, the star's ratios, the publication that is read.

`<star>_overview` for a star's first fact, `<fact>_overview` for its others. They are made from the contracts and the
metrics, over marts.*, so that they show the publication a session is set to.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import psycopg
from psycopg import sql

from ingestion.contracts import contracts
from reporting.metrics import Metric, catalogue
from warehouse.dbt_sources import fact_columns, fields, forms_of_marts
from warehouse.dbt_sources import marts as dbt_marts
from warehouse.publication.store import PATIENCE

NAMES = {  # code column → dimension, its name, join condition
    "county_code": ("dim_county", "county_name", "{d}.county_code = f.county_code", "县（市、区）名称 | County name"),
    "village_code": ("dim_village", "village_name", "{d}.village_code = f.village_code", "行政村名称 | Village name"),
    "township_code": ("dim_township", "township_name", "{d}.township_code = {township}", "乡镇名称 | Township name"),
    "industry_code": ("dim_industry", "industry_name", "{d}.industry_code = f.industry_code", "产业名称 | Industry name"),
    "fund_line": ("dim_fund_line", "fund_line_name", "{d}.fund_line = f.fund_line", "资金类别名称 | Fund line name"),
}
ALWAYS = "publication_id", "本次读取的发布号 | Publication that is read"


@dataclass(frozen=True)
class Column:
    name: str
    expression: str
    comment: str


@dataclass(frozen=True)
class Overview:
    """One view. ``columns`` in order; ``joins`` behind `from marts.<mart> f`."""

    name: str
    mart: str
    comment: str
    columns: tuple[Column, ...]
    joins: tuple[str, ...]

    @property
    def query(self) -> str:
        select = ",\n    ".join(f"{c.expression} as {c.name}" for c in self.columns)
        return f"select\n    {select}\nfrom marts.{self.mart} as f\n" + "\n".join(self.joins)


def overviews() -> list[Overview]:
    """Every view there ought to be, in the order of the stars."""
    found, seen = [], set()
    for mart, form in forms_of_marts().items():
        star = contracts().form(form).star
        main = _main_fact(star)
        name = f"{star}_overview" if mart == main else f"{mart.removeprefix('fct_').removesuffix('_weekly')}_overview"
        if name in seen:
            raise ValueError(f"two overviews are called {name}")
        seen.add(name)
        found.append(_overview(name, mart, form))
    return found


def _main_fact(star: str) -> str:
    """The star's first fact in dbt_project/marts.yaml."""
    return next(about["mart"] for form, about in dbt_marts()["facts"].items() if contracts().form(form).star == star)


def _overview(name: str, mart: str, form: str) -> Overview:
    about = contracts().form(form)
    own = fields(contracts(), form)
    declared = {c["name"]: c["description"] for c in fact_columns(contracts(), form)}
    columns: list[Column] = []
    joins: list[str] = []
    for column, description in declared.items():
        columns.append(Column(column, f"f.{column}", _with_unit(description, own.get(column))))
        if column == "village_code" and "township_code" not in declared:
            _named(column, columns, joins, declared)
            columns.append(Column("township_code", "village.township_code", "乡镇代码 | Township code"))
            _named("township_code", columns, joins, declared)
        elif column in NAMES:
            _named(column, columns, joins, declared)
        elif column == "carried_from_week":
            columns.append(Column("is_carried", "f.carried_from_week is not null", "是否沿用往期数 | Whether carried forward"))
        elif (field := own.get(column)) is not None and field.values and field.type == "code":
            alias = f"label_{column}"
            joins.append(f"left join marts.dim_code as {alias} on {alias}.form = '{form}' and {alias}.field = '{field.name}' and {alias}.code = f.{column}")
            columns.append(Column(f"{column}_name", f"{alias}.code_name", f"{field.zh}（名称） | {column}: label"))
    columns += [c for m in catalogue().values() if m.mart == mart for c in _ratio(m, declared)]
    columns.append(Column(ALWAYS[0], "(select store.reading_publication())", ALWAYS[1]))
    return Overview(name, mart, f"{about.zh}（宽表：名称、比率、发布号） | {about.en}, wide: names, ratios, publication", tuple(columns), tuple(joins))


def _named(column: str, columns: list[Column], joins: list[str], declared: dict[str, str]) -> None:
    dimension, label, condition, comment = NAMES[column]
    alias = dimension.removeprefix("dim_")
    township = "f.township_code" if "township_code" in declared else "village.township_code"
    joins.append(f"left join marts.{dimension} as {alias} on " + condition.format(d=alias, township=township))
    columns.append(Column(label, f"{alias}.{label}", comment))


def _with_unit(description: str, field) -> str:
    zh, bar, en = description.partition(" | ")
    return f"{zh}（单位：{field.unit}）{bar}{en}" if field is not None and field.unit and field.unit not in description else description


def _ratio(metric: Metric, declared: dict[str, str]) -> list[Column]:
    """A metric's ratio for one row, where the county does not declare it itself."""
    plain = metric.is_ratio and metric.agg == "sum" and len(metric.columns) == 2 and not metric.filter and metric.name not in declared
    if not plain or any(c not in declared for c in metric.columns):
        return []
    above, below = metric.columns
    comment = f"{metric.zh}＝{above}÷{below}；加总后重算，不得相加 | {metric.en}: {above} / {below}, NULL where the denominator is missing or zero"
    return [Column(metric.name, f"round(f.{above}::numeric / nullif(f.{below}, 0), 6)", comment)]


def ensure_overviews(connection: psycopg.Connection) -> list[str]:
    """Make the views that are missing or differ from what they ought to be; returns their names.

    Views that stand are left alone, so that no reader waits. Safe to repeat.
    """
    known = {name for (name,) in connection.execute("select viewname from pg_views where schemaname = 'marts'")}
    made = []
    for view in overviews():
        if not {view.mart, *_needed(view)} <= known:
            continue  # nothing was published of it yet
        mark = hashlib.sha256((view.query + repr(view.columns) + view.comment).encode()).hexdigest()[:12]
        standing = connection.execute("select obj_description(to_regclass(%s))", [f"marts.{view.name}"]).fetchone()[0] or ""
        if standing.endswith(f"[{mark}]"):
            continue
        try:
            _make(connection, view, mark)
        except psycopg.errors.LockNotAvailable:
            continue  # a reader's long query holds it; the next publication makes it
        made.append(view.name)
    return made


def _make(connection: psycopg.Connection, view: Overview, mark: str) -> None:
    target = sql.Identifier("marts", view.name)
    with connection.transaction():
        connection.execute(f"set local lock_timeout = '{PATIENCE}'")
        granted = connection.execute(
            """select distinct grantee from information_schema.role_table_grants
               where table_schema = 'marts' and table_name = %s and privilege_type = 'SELECT' and grantee <> current_user""",
            [view.name],
        ).fetchall()
        connection.execute(sql.SQL("drop view if exists {}").format(target))
        connection.execute(sql.SQL("create view {} as ").format(target) + sql.SQL(view.query))
        connection.execute(sql.SQL("comment on view {} is {}").format(target, sql.Literal(f"{view.comment} [{mark}]")))
        for column in view.columns:
            connection.execute(sql.SQL("comment on column {} is {}").format(sql.Identifier("marts", view.name, column.name), sql.Literal(column.comment)))
        for (role,) in granted:
            connection.execute(sql.SQL("grant select on {} to {}").format(target, sql.SQL("public") if role == "PUBLIC" else sql.Identifier(role)))


def _needed(view: Overview) -> set[str]:
    return {join.split("marts.")[1].split()[0] for join in view.joins}

