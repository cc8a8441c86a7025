"""What dbt takes from the contracts: sources, staging models, the facts' columns and two seeds.

``python -m warehouse.dbt_sources`` writes the files; a test fails when they are not what this module would write.
What the contracts don't say about the facts is in ``dbt_project/marts.yaml``.
"""

from __future__ import annotations

import csv
import functools
import io
import shutil
from pathlib import Path
from typing import Any

import yaml

from ingestion.contract_model import Contracts, Field, Form
from ingestion.contracts import contracts
from ingestion.raw_tables import raw_columns
from ingestion.reference_files import BUILT_IN
from warehouse.settings import REPOSITORY, Settings

PROJECT = REPOSITORY / "dbt_project"
MARK = "generated from the contracts by `python -m warehouse.dbt_sources`; do not edit"

KINDS = {
    "key": "key of the row",
    "attribute": "attribute",
    "stock": "level on the as-of date",
    "cumulative": "running total since 1 January",
    "constant": "fixed for the year",
    "flow": "of the week",
}
DIMENSIONS = {"township": ("dim_township", "township_code"), "village": ("dim_village", "village_code"), "industry": ("dim_industry", "industry_code")}


@functools.cache
def marts() -> dict[str, Any]:
    """``dbt_project/marts.yaml`` as it stands."""
    return yaml.safe_load((PROJECT / "marts.yaml").read_text(encoding="utf-8"))


def mart_of_form(form: str) -> str:
    """``EMP01`` → ``fct_employment_weekly``. Raises KeyError for a form without a fact."""
    return marts()["facts"][form]["mart"]


def forms_of_marts() -> dict[str, str]:
    """Every fact and the form that it is made of."""
    return {about["mart"]: form for form, about in marts()["facts"].items()}


def accumulating(form: str) -> bool:
    """Whether the form's fact has one row a key over all weeks in place of one a week."""
    return bool(marts()["facts"].get(form, {}).get("accumulating"))


def has_mart(form: str) -> bool:
    """Whether the form has its star. One without is loaded, checked and staged all the same."""
    return form in marts()["facts"]


def column_name(field: Field) -> str | None:
    """A field's column in staging and marts; None for personal data that stay behind."""
    if field.personal:
        return "household_key" if field.name == "household_no" else None
    return f"{field.name}_code" if field.codes in DIMENSIONS else field.name


def fields(of: Contracts, code: str) -> dict[str, Field]:
    """Every field that any version of a form has had, by column; the newest version's definition counts."""
    versions = sorted((f for f in of.forms if f.code == code), key=lambda f: f.valid_from)
    found: dict[str, Field] = {}
    for form in versions:
        for field in form.fields:
            if name := column_name(field):
                found[name] = field
    return found


def declared(form: Form) -> dict[str, tuple[str, str]]:
    """Declared rates: field → (numerator, denominator), from the form's rules, else from marts.yaml."""
    found = {name: tuple(pair) for name, pair in marts()["facts"].get(form.code, {}).get("rates", {}).items()}
    for rule in form.rules_of("declared"):
        pairs = rule.definition.get("pairs") or {rule.definition["field"]: rule.definition["expression"]}
        for name, expression in pairs.items():
            numerator, denominator = (part.strip() for part in expression.split("/"))
            found[name] = (numerator, denominator)
    return found


def fact_columns(of: Contracts, code: str) -> list[dict[str, Any]]:
    """A fact's columns in order: name, data_type, description, constraints."""
    form, about = of.form(code), marts()["facts"][code]
    key, whole = column_name(form.key), bool(about.get("accumulating"))
    columns = [] if whole else [_column("week", "text", "报送周 | Reporting week, ISO, such as 2020-W24", "dim_week(week)", required=True)]
    columns.append(_column("as_of_date", "date", "截至日期（周日） | As-of date: the Sunday of the week" + (" that was published last" if whole else ""), required=True))
    columns.append(_column("county_code", "text", "县（市、区）代码 | County code", "dim_county(county_code)", required=True))
    rates, increments = declared(form), []
    for name, field in fields(of, code).items():
        columns.append(_field_column(name, field, rates, required=name == key))
        if field.kind == "cumulative":
            text = f"{field.zh}：本周新增 | Own part of the week of {name}{_unit(field)}; NULL where it is not known"
            increments.append(_column(f"{name}_increment", field.sql_type, text))
    columns += increments
    for name, data_type, zh, en in about.get("derived", []):
        columns.append(_column(name, data_type, f"{zh} | {en}", "dim_week(week)" if name.endswith("_seen_week") else None))
    if not whole:
        text = "沿用周次：本周无上报数据时，数据来自该周；空为本周数据 | Week whose figures are carried forward; NULL where they are this week's"
        columns.append(_column("carried_from_week", "text", text, "dim_week(week)"))
    columns.append(_column("submission_id", "bigint", "报表编号 | Submission that the row comes from", "dim_submission(submission_id)", required=True))
    columns.append(_column("source_row_no", "integer", "报表数据行号 | Data row of that submission, from 1", required=True))
    return columns


def key_columns(of: Contracts, code: str) -> list[str]:
    """Primary key of a fact."""
    own = column_name(of.form(code).key)
    return ["county_code", own] if marts()["facts"][code].get("accumulating") else ["week", "county_code", own]


def _column(name: str, data_type: str, description: str, reference: str | None = None, *, required: bool = False) -> dict[str, Any]:
    constraints: list[dict[str, Any]] = [{"type": "not_null"}] if required else []
    if reference:
        table, column = reference.rstrip(")").split("(")
        constraints.append({"type": "foreign_key", "to": f"ref('{table}')", "to_columns": [column]})
    column = {"name": name, "data_type": data_type, "description": description}
    return column | ({"constraints": constraints} if constraints else {})


def _field_column(name: str, field: Field, rates: dict, *, required: bool) -> dict[str, Any]:
    label = name.replace("_", " ").capitalize()
    zh = field.zh
    if field.pseudonymised:
        zh, meaning = f"{field.zh}（假名）", "keyed pseudonym; the number itself stays behind"
    elif field.name in rates:
        zh, meaning = f"{field.zh}（本库计算）", f"computed: {' / '.join(rates[field.name])}, a fraction; NULL without denominator"
    else:
        meaning = KINDS[field.kind] + ("; fraction" if field.type == "percent" else "")
    reference = DIMENSIONS.get(field.codes or "")
    return _column(name, field.sql_type, f"{zh} | {label}{_unit(field)}: {meaning}", f"{reference[0]}({reference[1]})" if reference else None, required=required)


def _unit(field: Field) -> str:
    return f" ({field.unit})" if field.unit else ""


# ---------------------------------------------------------------- files


def files(of: Contracts | None = None) -> dict[Path, str]:
    """Every generated file below ``dbt_project`` with its text."""
    of = of or contracts()
    made = {PROJECT / "models/sources.yml": _sources(of), PROJECT / "models/marts/groups.yml": _groups()}
    for code in of.codes:
        form = of.form(code)
        folder = PROJECT / "models/staging" / code.lower()
        made[folder / f"stg_{code.lower()}__rows.sql"] = _staging_sql(of, form)
        made[folder / f"stg_{code.lower()}__rows.yml"] = _staging_yaml(of, form)
        if has_mart(code):
            made[PROJECT / "models/marts" / form.star / f"{mart_of_form(code)}.yml"] = _fact_yaml(of, form)
    made[PROJECT / "seeds/reporting_form.csv"] = _csv(
        ["form", "form_name", "form_name_en", "star", "mart", "listing"],
        [[f.code, f.zh, f.en, f.star, mart_of_form(f.code) if has_mart(f.code) else "", f.listing] for f in map(of.form, of.codes)],
    )
    made[PROJECT / "seeds/code_label.csv"] = _csv(
        ["form", "field", "code", "code_name", "position"],
        [
            [code, field.name, value, labels[0], position]
            for code in of.codes
            for field in of.form(code).fields
            for position, (value, labels) in enumerate(field.values.items(), 1)
        ],
    )
    return made


def _csv(header: list[str], rows: list[list]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # in C where there is one: every build makes all these texts
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(document: dict) -> str:
    text = yaml.dump({"version": 2} | document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=160)
    return f"# {MARK}\n{text}"


def _sources(of: Contracts) -> str:
    raw = [
        {
            "name": code.lower(),
            "description": f"{of.form(code).zh} | {of.form(code).en}, typed rows as accepted, with personal data",
            "columns": [{"name": name} for name in _all_raw_columns(of, code)],
        }
        for code in of.codes
    ]
    reference = [{"name": path.stem} for path in sorted(BUILT_IN.glob("*.csv"))]
    return _yaml({
        "sources": [
            {"name": "raw", "schema": "raw", "tables": raw},
            {"name": "reference", "schema": "reference", "tables": reference},
            {"name": "intake", "schema": "intake", "tables": [{"name": name} for name in ("file", "submission", "accepted_submission", "ever_accepted_submission")]},
            {"name": "ops", "schema": "ops", "tables": [{"name": "build_slice"}, {"name": "horizon"}]},
        ]
    })


def _all_raw_columns(of: Contracts, code: str) -> list[str]:
    versions = sorted((f for f in of.forms if f.code == code), key=lambda f: f.valid_from)
    return list(dict.fromkeys(name for form in versions for name in raw_columns(form)))


def _groups() -> str:
    owner = {"name": "city data team", "email": "data-team@example.org"}
    return _yaml({"groups": [{"name": name, "description": text, "owner": owner} for name, text in marts()["groups"].items()]})


def _staging_sql(of: Contracts, form: Form) -> str:
    lines = []
    for name, field in fields(of, form.code).items():
        source = "household_key" if field.pseudonymised else field.name
        lines.append(f"    r.{source}" + (f" as {name}" if name != source else ""))
    columns = ",\n".join(lines)
    return (
        f"-- {MARK}\n"
        f"-- {form.zh}: the rows of the newest accepted version of each county and week, without personal data.\n"
        "select\n    s.submission_id,\n    s.county_code,\n    {{ week_of_rows() }},\n    r.row_no as source_row_no,\n"
        f"{columns}\nfrom {{{{ source('raw', '{form.code.lower()}') }}}} as r\n"
        "inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id\n"
    )


def _staging_yaml(of: Contracts, form: Form) -> str:
    columns = [{"name": name, "description": f"{field.zh} | {name}"} for name, field in fields(of, form.code).items()]
    name = f"stg_{form.code.lower()}__rows"
    text = f"{form.zh}：现行有效版本 | {form.en}: rows of the newest accepted version"
    return _yaml({"models": [{"name": name, "description": text, "config": {"tags": ["staging"]}, "columns": columns}]})


def _fact_yaml(of: Contracts, form: Form) -> str:
    about = marts()["facts"][form.code]
    keys = key_columns(of, form.code)
    constraints: list[dict[str, Any]] = [{"type": "primary_key", "columns": keys}]
    for column, table in about.get("references", {}).items():
        columns = [column] if table == "dim_fund_line" else ["county_code", column]
        constraints.append({"type": "foreign_key", "columns": columns, "to": f"ref('{table}')", "to_columns": columns})
    whole = bool(about.get("accumulating"))
    grain = " × ".join(keys)
    meta = {"form": form.code, "grain": keys} | ({"accumulating": True} if whole else {})
    config: dict[str, Any] = {"tags": [form.code, form.star], "group": form.star, "meta": meta}
    if not whole:
        config["indexes"] = [{"columns": ["county_code", "week"]}]  # the primary key begins with week, county_code
    model = {"name": about["mart"], "description": f"{form.zh} | {form.en}: one row per {grain}", "config": config}
    if not whole:
        model["data_tests"] = [{"rows_are_conserved": {"arguments": {"form": form.code}}}]
    return _yaml({"models": [model | {"constraints": constraints, "columns": fact_columns(of, form.code)}]})


def left_over(made: dict[Path, str]) -> list[Path]:
    """Generated files that no contract stands behind any more."""
    found = (p for folder in ("models", "seeds") for p in (PROJECT / folder).rglob("*") if p.suffix in (".sql", ".yml"))
    return sorted(p for p in found if p not in made and MARK in p.read_text(encoding="utf-8")[:200])


def project(settings: Settings, of: Contracts | None = None) -> Path:
    """The dbt project to run: the repository's, or, while contracts say more than its generated files, a copy in the home.

    So a contract that was just put down, or that a city keeps outside the repository, needs no generating by hand,
    and a build never writes into the repository.
    """
    made = files(of)
    changed = {p: text for p, text in made.items() if not p.exists() or p.read_text(encoding="utf-8") != text}
    gone = left_over(made)
    if not changed and not gone:
        return PROJECT
    copy = settings.home / "dbt" / "project"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("target", "logs", "dbt_packages"))
    for path in gone:
        (copy / path.relative_to(PROJECT)).unlink()
    for path, text in changed.items():
        target = copy / path.relative_to(PROJECT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return copy


def write() -> list[Path]:
    """Write every generated file that differs; returns those."""
    changed = []
    for path, text in files().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


if __name__ == "__main__":
    for changed_path in write():
        print(changed_path.relative_to(REPOSITORY))
