"""Superset's dashboards: pages of charts in rows, with the filters by publication, week and county on each."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from bi.charts import SCHEME, Builder, Chart
from bi.datasets import Dataset, datasets, identity

PAGES = Path(__file__).parents[1] / "reporting" / "pages.yaml"
STRIP = "本页数据：数据周、发布号和沿用情况"
COLUMNS = 12


class Page:
    """A dashboard: its strip with what it rests on, then its rows of charts."""

    def __init__(self, given: dict[str, Any], known: dict[str, Dataset], colours: dict[str, str]):
        self.slug, self.title, self.forms, self.colours, self.known = given["slug"], given["title"], given["forms"], colours, known
        builder = Builder(self.slug, known)
        strip = self._strip(builder)
        self.rows: list[list[Chart]] = [[strip]] if strip else []
        self.rows += [[builder.chart(line) for line in row] for row in given["rows"]]
        for row in self.rows:
            if sum(c.width for c in row) != COLUMNS:
                raise ValueError(f"{self.slug}: the row of “{row[0].title}” is not {COLUMNS} columns wide")
        self.rows = [[replace(chart, height=max(c.height for c in row)) for chart in row] for row in self.rows]
        titles = [c.title for c in self.charts]
        if len(set(titles)) != len(titles):
            raise ValueError(f"{self.slug}: two charts have the same title")

    @property
    def charts(self) -> list[Chart]:
        return [c for row in self.rows for c in row]

    def _strip(self, builder: Builder) -> Chart | None:
        if not self.forms:
            return None
        forms = ", ".join(f"'{f}'" for f in self.forms)
        given = {
            "table": ["own", "carried", "carried_names"], "by": ["form_name", "week", "as_of_date", "publication", "published_date"], "view": "coverage", "order": "form_name",
            "where": f"form in ({forms})", "title": STRIP, "width": COLUMNS, "height": round(17 + 3.6 * len(self.forms)), "note": "图表中以※标出沿用往期数的县和周；换一个发布或周，全页随之改变",
        }  # fmt: skip
        return builder.chart(given)

    def document(self) -> dict[str, Any]:
        return {
            "dashboard_title": self.title, "description": None, "css": CSS, "slug": self.slug, "certified_by": "", "certification_details": "", "published": True,
            "uuid": identity("dashboard", self.slug), "position": self._position(), "metadata": self._metadata(), "version": "1.0.0",
            "is_managed_externally": True,
        }  # fmt: skip

    def _position(self) -> dict[str, Any]:
        rows = [f"ROW-{n}" for n in range(1, len(self.rows) + 1)]
        found: dict[str, Any] = {
            "DASHBOARD_VERSION_KEY": "v2",
            "ROOT_ID": {"id": "ROOT_ID", "type": "ROOT", "children": ["GRID_ID"]},
            "GRID_ID": {"id": "GRID_ID", "type": "GRID", "children": rows, "parents": ["ROOT_ID"]},
            "HEADER_ID": {"id": "HEADER_ID", "type": "HEADER", "meta": {"text": self.title}},
        }
        for name, row in zip(rows, self.rows, strict=True):
            boxes = [f"CHART-{chart.uuid[:8]}" for chart in row]
            found[name] = {"id": name, "type": "ROW", "children": boxes, "parents": ["ROOT_ID", "GRID_ID"], "meta": {"background": "BACKGROUND_TRANSPARENT"}}
            for box, chart in zip(boxes, row, strict=True):
                meta = {"chartId": 0, "width": chart.width, "height": chart.height, "uuid": chart.uuid, "sliceName": chart.title}
                found[box] = {"id": box, "type": "CHART", "children": [], "parents": ["ROOT_ID", "GRID_ID", name], "meta": meta}
        return found

    def _metadata(self) -> dict[str, Any]:
        return {
            "color_scheme": SCHEME, "label_colors": self.colours, "shared_label_colors": [], "map_label_colors": {}, "cross_filters_enabled": False, "refresh_frequency": 0,
            "timed_refresh_immune_slices": [], "expanded_slices": {}, "default_filters": "{}", "chart_configuration": {}, "filter_bar_orientation": "HORIZONTAL",
            "native_filter_configuration": self._filters(),
        }  # fmt: skip

    def _filters(self) -> list[dict[str, Any]]:
        """Publication first, then the weeks that it shows: both stand at the newest until somebody chooses; counties: all."""
        publication = _filter("publication", "发布", self.known["publication"], first=True)
        week = _filter("week", "报送周", self.known["week"], first=True, parents=[publication["id"]])
        county = _filter("county_name", "县（市、区）", self.known["coverage"], first=False)
        return [publication, week, county]


def _filter(column: str, name: str, dataset: Dataset, first: bool, parents: list[str] | None = None) -> dict[str, Any]:
    newest = {"sortMetric": dataset.measures["newest"].label} if first else {}
    return {
        "id": f"NATIVE_FILTER-{identity('filter', column)[:8]}", "name": name, "filterType": "filter_select", "type": "NATIVE_FILTER", "description": "",
        "cascadeParentIds": parents or [], "targets": [{"column": {"name": column}, "datasetUuid": dataset.uuid}],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": []},
        "controlValues": {"enableEmptyFilter": first, "defaultToFirstItem": first, "multiSelect": not first, "searchAllOptions": False, "inverseSelection": False, "sortAscending": not first} | newest,
        "defaultDataMask": {"extraFormData": {}, "filterState": {}, "ownState": {}}, **newest,
    }  # fmt: skip


CSS = """.dashboard-component-chart-holder { border-radius: 6px; }
.superset-legacy-chart-big-number .kicker { font-size: 13px !important; opacity: 0.75; }
.superset-legacy-chart-big-number .header-line { font-weight: 600; }
.superset-legacy-chart-big-number .subheader-line, .superset-legacy-chart-big-number .subtitle-line { font-size: 13px !important; }
"""


@functools.cache
def pages() -> list[Page]:
    """Every page of `reporting/pages.yaml`. Raises ValueError where it names what does not exist."""
    given, known = yaml.safe_load(PAGES.read_text(encoding="utf-8")), datasets()
    return [Page(page, known, given["colours"]) for page in given["pages"]]
