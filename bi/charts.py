"""Superset's charts from one line of `reporting/pages.yaml` each: what is drawn (params) and what is asked (query context)."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from bi.datasets import Dataset, Measure, identity
from reporting.metrics import catalogue

NOW = "weeks_back = 0"
RECENT = "weeks_back <= 3"  # the columns of a table of metrics: four weeks
SCHEME = "supersetColors"
ROWS = 1000
HEIGHTS = {"card": 26, "total": 26, "bars": 48, "columns": 46, "lines": 46, "pie": 46, "table": 46, "list": 46, "grid": 64, "heat": 52, "metrics": 30}


@dataclass(frozen=True)
class Chart:
    """A chart of a page. ``width`` of twelve columns, ``height`` in Superset's units of eight pixels."""

    page: str
    title: str
    dataset: Dataset
    kind: str
    params: dict[str, Any]
    query: dict[str, Any]
    width: int
    height: int
    about: str
    measures: tuple[Measure, ...]
    where: str

    @property
    def uuid(self) -> str:
        return identity("chart", f"{self.page}:{self.title}")

    def document(self) -> dict[str, Any]:
        viz = self.params["viz_type"]
        context = {"datasource": {"id": 0, "type": "table"}, "force": False, "queries": [self.query], "form_data": self.params, "result_format": "json", "result_type": "full"}
        return {
            "slice_name": self.title, "description": self.about, "certified_by": None, "certification_details": None, "viz_type": viz, "params": self.params,
            "query_context": json.dumps(context, ensure_ascii=False, sort_keys=True), "cache_timeout": None, "uuid": self.uuid, "version": "1.0.0",
            "dataset_uuid": self.dataset.uuid, "is_managed_externally": True,
        }  # fmt: skip


class Builder:
    """Makes the charts of one page from what `reporting/pages.yaml` says. Raises ValueError with the page and the chart's title."""

    def __init__(self, page: str, datasets: dict[str, Dataset]):
        self.page, self.datasets = page, datasets
        self.views = {name: d for d in datasets.values() for name in d.measures if d.key not in ("publication", "week")}

    def chart(self, given: dict[str, Any]) -> Chart:
        kind = next((k for k in given if k in HEIGHTS), None)
        if kind is None:
            raise ValueError(f"{self.page}: no kind of chart in {given}")
        names = given[kind] if isinstance(given[kind], list) else [given[kind]]
        dataset = self.datasets[given["view"]] if "view" in given else self.views.get(names[0])
        names = list(dataset.measures) if dataset and names == ["all"] else names
        if dataset is None or (kind != "list" and any(n not in dataset.measures for n in names)):
            raise ValueError(f"{self.page}: {names} are not metrics of one dataset")
        if kind == "list" and any(n not in dataset.columns for n in names):
            raise ValueError(f"{self.page}: {dataset.key} lacks one of the columns {names}")
        measures = () if kind == "list" else tuple(dataset.measures[n] for n in names)
        title = given.get("title") or measures[0].label
        unknown = set(given) - {kind, "view", "title", "by", "series", "where", "width", "height", "stack", "order", "limit", "format", "week", "across", "note", "scheme"}
        if unknown:
            raise ValueError(f"{self.page}: {title}: nobody knows {sorted(unknown)}")
        where = " and ".join(f"({c})" for c in (given.get("where"), self._weeks(kind, given, dataset)) if c)
        params, query = getattr(self, f"_{kind}")(given, dataset, measures, names)
        params |= {"datasource": "0__table", "adhoc_filters": _adhoc(where, title), "extra_form_data": {}, "annotation_layers": [], "dashboards": []}
        query = _query() | query | {"extras": {"where": where, "having": ""}}
        about = given.get("note") or "；".join(dict.fromkeys(m.about for m in measures)) or dataset.title
        height = given.get("height", max(HEIGHTS[kind], 17 + 4 * len(measures)) if kind == "metrics" else HEIGHTS[kind])
        return Chart(self.page, title, dataset, kind, params, query, given.get("width", 6), height, about, measures, where)

    @staticmethod
    def _weeks(kind: str, given: dict[str, Any], dataset: Dataset) -> str | None:
        """Which weeks a chart shows: all of them where they are its axis, else that of the filter."""
        wanted = given.get("week", "all" if kind in ("card", "lines", "heat") or (kind == "columns" and "by" not in given) else "recent" if kind == "metrics" else "now")
        if "weeks_back" not in dataset.columns or wanted == "all":
            return None
        return RECENT if wanted == "recent" else NOW

    # -- kinds -------------------------------------------------------------------------------------

    def _card(self, given, dataset, measures, names):
        """A figure with its course over the weeks; below it the as-of date's week and the change against the week before."""
        label = measures[0].label
        params = {
            "viz_type": "big_number", "metric": label, "x_axis": "as_of_date", "time_grain_sqla": None, "show_trend_line": True, "start_y_axis_at_zero": False,
            "header_font_size": 0.4, "subheader_font_size": 0.15, "y_axis_format": measures[0].form, "time_format": "数据周 %G-W%V", "show_timestamp": True,
            "compare_lag": 0 if measures[0].form.endswith("%") else 1, "compare_suffix": "（较上周）", "color_picker": {"r": 31, "g": 95, "b": 168, "a": 1}, "rolling_type": None,
        }  # fmt: skip
        return params, {"columns": [_axis("as_of_date")], "metrics": [label], "orderby": [["as_of_date", True]]}

    def _total(self, given, dataset, measures, names):
        label = measures[0].label
        params = {
            "viz_type": "big_number_total", "metric": label, "header_font_size": 0.4, "subheader_font_size": 0.15, "subtitle_font_size": 0.15, "y_axis_format": measures[0].form,
            "time_format": "%G-W%V", "subtitle": given.get("note", ""),
        }  # fmt: skip
        return params, {"columns": [], "metrics": [label]}

    def _bars(self, given, dataset, measures, names):
        """Horizontal, longest first: names of counties stay readable."""
        return self._series(given, measures, "echarts_timeseries_bar", given.get("by", "county_label"), horizontal=True)

    def _columns(self, given, dataset, measures, names):
        return self._series(given, measures, "echarts_timeseries_bar", given.get("by", "week_label"))

    def _lines(self, given, dataset, measures, names):
        return self._series(given, measures, "echarts_timeseries_line", given.get("by", "week_label"))

    def _series(self, given, measures, viz, axis, horizontal=False):
        labels, series = [m.label for m in measures], [given["series"]] if "series" in given else []
        by_week = axis in ("week_label", "age_name")
        legend = len(labels) > 1 or bool(series)
        sort = axis if by_week else given.get("order") or labels[0]
        params = {
            "viz_type": viz, "x_axis": axis, "metrics": labels, "groupby": series, "x_axis_sort": None if series and not by_week else sort,
            "x_axis_sort_asc": by_week or horizontal, "orientation": "horizontal" if horizontal else "vertical", "order_desc": True, "row_limit": ROWS,
            "show_legend": legend, "legendType": "scroll", "legendOrientation": "top", "rich_tooltip": True, "show_value": viz.endswith("bar") and not (legend and not given.get("stack")) ,
            "only_total": True, "stack": "Stack" if given.get("stack") else None,
            "y_axis_format": measures[0].form if measures[0].form.endswith("%") else ",.1~f", "color_scheme": SCHEME, "truncateYAxis": viz.endswith("line"),
            "y_axis_bounds": [None, None], "x_axis_title": "", "y_axis_title": given.get("across") or _unit(measures[0]), "y_axis_title_margin": 30 if horizontal else 60,
            "x_axis_title_margin": 15, "y_axis_title_position": "Left", "markerEnabled": True, "markerSize": 6, "xAxisLabelInterval": "0",
            "x_axis_time_format": "smart_date", "truncate_metric": True, "show_extra_controls": False, "sort_series_type": "name",
            "x_axis_sort_series": "name" if by_week else "sum", "x_axis_sort_series_ascending": by_week or horizontal, "zoomable": False,
        }  # fmt: skip
        return params, {"columns": [_axis(axis), *series], "metrics": labels, "orderby": [[labels[0], False]], "series_columns": series}

    def _pie(self, given, dataset, measures, names):
        label, by = measures[0].label, given["by"]
        params = {
            "viz_type": "pie", "groupby": [by], "metric": label, "donut": True, "innerRadius": 42, "outerRadius": 68, "show_labels": True, "labels_outside": True,
            "label_type": "key_value", "number_format": measures[0].form, "show_legend": False, "sort_by_metric": True, "row_limit": 100, "color_scheme": SCHEME,
            "show_labels_threshold": 1, "show_total": True, "label_line": True,
        }  # fmt: skip
        return params, {"columns": [by], "metrics": [label], "orderby": [[label, False]]}

    def _table(self, given, dataset, measures, names):
        by, labels = _list(given["by"]), [m.label for m in measures]
        order, downwards = given.get("order", labels[0]), True
        params = {
            "viz_type": "table", "query_mode": "aggregate", "groupby": by, "metrics": labels, "all_columns": [], "percent_metrics": [], "row_limit": given.get("limit", ROWS),
            "order_desc": downwards, "timeseries_limit_metric": order if order in labels else None, "table_timestamp_format": "%Y-%m-%d", "show_cell_bars": False,
            "color_pn": False, "include_search": False, "page_length": 0, "server_page_length": 10,
            "column_config": {m.label: {"d3NumberFormat": m.form} for m in measures if m.form},
        }  # fmt: skip
        return params, {"columns": by, "metrics": labels, "orderby": [[order, order not in by and downwards is False] if order in labels else [by[0], True]], "row_limit": given.get("limit", ROWS)}

    def _list(self, given, dataset, measures, names):
        order = given.get("order", names[0])
        column, _, way = order.partition(" ")
        formats = given.get("format", {})
        params = {
            "viz_type": "table", "query_mode": "raw", "all_columns": names, "order_by_cols": [json.dumps([column, way != "desc"])], "groupby": [], "metrics": [],
            "percent_metrics": [], "row_limit": given.get("limit", 200), "order_desc": way == "desc", "table_timestamp_format": "%Y-%m-%d", "show_cell_bars": False,
            "color_pn": False, "include_search": False, "page_length": 0, "server_page_length": 10, "column_config": {c: {"d3NumberFormat": f} for c, f in formats.items()},
        }  # fmt: skip
        return params, {"columns": names, "metrics": None, "orderby": [[column, way != "desc"]], "row_limit": given.get("limit", 200)}

    def _grid(self, given, dataset, measures, names):
        """Rows by columns of one metric, or of several side by side."""
        rows, columns, labels = _list(given["by"]), _list(given.get("series", [])), [m.label for m in measures]
        return self._pivot(rows, columns, labels, measures[0].form, "COLUMNS")

    def _metrics(self, given, dataset, measures, names):
        """Every metric of a dataset, a row each, over the last weeks or over the values of a column."""
        by = _list(given.get("by", "week_label"))
        return self._pivot(_list(given.get("series", [])), by, [m.label for m in measures], None, "ROWS")

    def _pivot(self, rows, columns, labels, form, layout):
        params = {
            "viz_type": "pivot_table_v2", "groupbyRows": rows, "groupbyColumns": columns, "metrics": labels, "metricsLayout": layout, "aggregateFunction": "First",
            "rowOrder": "key_a_to_z", "colOrder": "key_a_to_z", "row_limit": ROWS * 10, "order_desc": True, "valueFormat": form or "", "date_format": "%Y-%m-%d",
            "rowTotals": False, "colTotals": False, "rowSubTotals": False, "colSubTotals": False, "transposePivot": False, "combineMetric": False, "conditional_formatting": [],
            "temporal_columns_lookup": {},
        }  # fmt: skip
        if not form:
            params.pop("valueFormat")
        return params, {"columns": [*columns, *rows], "metrics": labels, "orderby": [[labels[0], False]], "row_limit": ROWS * 10}

    def _heat(self, given, dataset, measures, names):
        axis, series, label = given.get("by", "week_label"), given.get("series", "county_name"), measures[0].label
        params = {
            "viz_type": "heatmap_v2", "x_axis": axis, "groupby": series, "metric": label, "linear_color_scheme": given.get("scheme", "schemeBlues"),
            "normalize_across": "heatmap", "sort_x_axis": "alpha_asc", "sort_y_axis": "alpha_desc", "show_values": True, "show_legend": True, "show_percentage": False,
            "legend_type": "continuous", "y_axis_format": measures[0].form, "value_bounds": [None, None], "bottom_margin": "auto", "left_margin": 120, "xscale_interval": -1,
            "yscale_interval": 1, "row_limit": ROWS * 10, "x_axis_time_format": "smart_date", "border_width": 1,
        }  # fmt: skip
        return params, {"columns": [_axis(axis), series], "metrics": [label], "orderby": [[axis, True], [series, False]], "row_limit": ROWS * 10}


def _query() -> dict[str, Any]:
    return {
        "filters": [], "applied_time_extras": {}, "annotation_layers": [], "row_limit": ROWS, "series_limit": 0, "order_desc": True, "url_params": {},
        "custom_params": {}, "custom_form_data": {}, "series_columns": [],
    }  # fmt: skip


def _adhoc(where: str, title: str) -> list[dict[str, Any]]:
    if not where:
        return []
    name = uuid.uuid5(uuid.NAMESPACE_OID, title + where).hex[:12]
    return [{"clause": "WHERE", "expressionType": "SQL", "sqlExpression": where, "filterOptionName": f"filter_{name}", "isExtra": False, "isNew": False, "operator": None, "subject": None, "comparator": None}]


def _axis(column: str) -> dict[str, Any]:
    return {"columnType": "BASE_AXIS", "sqlExpression": column, "label": column, "expressionType": "SQL", "timeGrain": None}


def _unit(measure: Measure) -> str:
    return measure.label.rpartition("（")[2].rstrip("）") if measure.label.endswith("）") else ""


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def catalogued(charts: list[Chart]) -> set[str]:
    """Names of the catalogue's metrics that stand on some chart."""
    return {m.name for c in charts for m in c.measures} & set(catalogue())
