"""What Superset does with a dataset, in a few lines: fill in the template for the filters chosen, put a chart's query around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jinja2

from bi.charts import Chart
from bi.datasets import Dataset


def rendered(dataset: Dataset, filters: Mapping[str, Sequence[str]] | None = None) -> str:
    """The dataset's SQL with these values in the page's filters."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    environment.filters["where_in"] = lambda values: "(" + ", ".join("'" + v.replace("'", "''") + "'" for v in values) + ")"
    return environment.from_string(dataset.sql).render(filter_values=lambda column, default=None, remove_filter=False: list((filters or {}).get(column, [])))


def chart_query(chart: Chart, filters: Mapping[str, Sequence[str]] | None = None) -> str:
    """A chart's own query, its columns first."""
    columns = [c if isinstance(c, str) else c["sqlExpression"] for c in chart.query["columns"]]
    select = ", ".join([*columns, *(m.expression for m in chart.measures)])
    group = f" group by {', '.join(map(str, range(1, len(columns) + 1)))}" if columns and chart.measures else ""
    return f"select {select} from ({rendered(chart.dataset, filters)}) as virtual_table where {chart.where or 'true'}{group}"


def measure_query(dataset: Dataset, name: str, where: str, filters: Mapping[str, Sequence[str]] | None = None) -> str:
    return f"select {dataset.measures[name].expression} from ({rendered(dataset, filters)}) as virtual_table where {where}"
