"""The metrics as dbt semantic models: ``python -m reporting.semantic`` writes dbt_project/models/semantic/metrics.yml.

A test fails when the file is not what this module would write. Levels carry a non-additive time dimension: a query
over several weeks gives the last week's, never a sum.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ingestion.contracts import contracts
from reporting.metrics import Metric, catalogue
from warehouse.dbt_sources import PROJECT, fact_columns, forms_of_marts, key_columns

TARGET = PROJECT / "models" / "semantic" / "metrics.yml"
MARK = "# generated from reporting/metrics.yaml by `python -m reporting.semantic`; do not edit\n"
FOREIGN = {"county_code": "county", "township_code": "township", "village_code": "village", "industry_code": "industry"}
SPINE = {
    "name": "time_spine_daily",
    "description": "每日一行，供语义层使用 | One row a day, for the semantic layer",
    "time_spine": {"standard_granularity_column": "date_day"},
    "columns": [{"name": "date_day", "data_type": "date", "granularity": "day", "description": "日期 | Day"}],
}


def document() -> dict[str, Any]:
    """Time spine, semantic models (one a mart) and metrics, in dbt's words."""
    by_mart: dict[str, list[Metric]] = {}
    for metric in catalogue().values():
        by_mart.setdefault(metric.mart, []).append(metric)
    metrics = [entry for group in by_mart.values() for metric in group for entry in _metrics(metric)]
    return {"version": 2, "models": [SPINE], "semantic_models": [_model(mart, group) for mart, group in by_mart.items()], "metrics": metrics}


def _model(mart: str, metrics: list[Metric]) -> dict[str, Any]:
    form = forms_of_marts()[mart]
    columns = {c["name"]: c for c in fact_columns(contracts(), form)}
    keys = [c for c in key_columns(contracts(), form) if c != "week"]
    entities = [{"name": FOREIGN[c], "type": "foreign", "expr": c} for c in columns if c in FOREIGN]
    named = set(FOREIGN) | {"as_of_date"}
    texts = [c for c in columns if c not in named and (c in keys or c == "week" or columns[c]["data_type"] in ("text", "boolean"))]
    return {
        "name": mart.removeprefix("fct_"),
        "description": f"{contracts().form(form).zh} | {contracts().form(form).en}",
        "model": f"ref('{mart}')",
        "defaults": {"agg_time_dimension": "as_of_date"},
        "primary_entity": f"{mart.removeprefix('fct_')}_row",
        "entities": entities,
        "dimensions": [
            {"name": "as_of_date", "type": "time", "type_params": {"time_granularity": "day"}},
            *({"name": "reporting_week", "type": "categorical", "expr": c} if c == "week" else {"name": c, "type": "categorical"} for c in texts if c not in ("description", "gap_note", "measure", "remark")),
        ],
        "measures": [m for metric in metrics for m in _measures(metric)],
    }


def _measures(metric: Metric) -> list[dict[str, Any]]:
    conditions = [c for c in (metric.filter, metric.where) if c]
    parts = [(metric.name, metric.value, conditions)]
    if metric.is_ratio:
        below = [metric.filter] if metric.filter else []
        parts = [(f"{metric.name}_numerator", metric.value, conditions), (f"{metric.name}_denominator", metric.over, below)]
    return [_measure(metric, name, value or "1", when) for name, value, when in parts]


def _measure(metric: Metric, name: str, value: str, conditions: list[str]) -> dict[str, Any]:
    expression = value
    if conditions:
        when = " and ".join(f"({c})" for c in conditions)
        expression = f"case when {when} then {value} end"
    found = {"name": f"measure_{name}", "agg": "count_distinct" if metric.agg == "distinct" else "sum", "expr": expression}
    if metric.time != "flow":
        found["non_additive_dimension"] = {"name": "as_of_date", "window_choice": "max"}
    return found


def _metrics(metric: Metric) -> list[dict[str, Any]]:
    about = {
        "label": metric.zh,
        "description": f"{metric.zh} | {metric.en}",
        "config": {"meta": {"unit": metric.unit, "time": metric.time, "sum_over": list(metric.sum_over), "never_over": [] if metric.across else list(metric.never)}},
    }
    if not metric.is_ratio:
        return [{"name": metric.name, **about, "type": "simple", "type_params": {"measure": {"name": f"measure_{metric.name}"}}}]
    parts = [
        {"name": f"{metric.name}_{part}", **about, "label": f"{metric.zh}（{zh}）", "type": "simple", "type_params": {"measure": {"name": f"measure_{metric.name}_{part}"}}}
        for part, zh in (("numerator", "分子"), ("denominator", "分母"))
    ]
    ratio = {"name": metric.name, **about, "type": "ratio", "type_params": {"numerator": parts[0]["name"], "denominator": parts[1]["name"]}}
    return [*parts, ratio]


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def text() -> str:
    return MARK + yaml.dump(document(), Dumper=_Plain, allow_unicode=True, sort_keys=False, width=160)


def write(path: Path = TARGET) -> bool:
    """Write the file if it differs; returns whether it did."""
    if path.exists() and path.read_text(encoding="utf-8") == text():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text(), encoding="utf-8")
    return True


if __name__ == "__main__":
    if write():
        print(TARGET)
