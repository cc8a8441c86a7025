"""The static chart pages show the metrics' own figures, of one publication, and never a gap as zero."""

from __future__ import annotations

import re
from decimal import Decimal
from html import unescape

import pytest
import small_city

from reporting.brief.writing import in_table
from reporting.metrics import county_name, metric, metric_by
from reporting.site import build_site, dashboards
from warehouse import database

pytestmark = pytest.mark.database

CODES = {"industry_name": "industry_code"}  # the code behind a name where it isn't the name less `_name`
WEEK = small_city.WEEKS[-1]


@pytest.fixture(scope="module")
def city(server, template, tmp_path_factory):
    return small_city.make(server, template, tmp_path_factory.mktemp("charts"))


@pytest.fixture(scope="module")
def figures(city):
    with database.connect(city.settings, autocommit=True) as connection:
        yield dashboards.Figures(connection, WEEK, small_city.WEEKS)


CHARTS = [(page["slug"], chart) for page in dashboards.pages() for chart in page["charts"]]


def test_every_topic_has_a_page():
    slugs = {page["slug"] for page in dashboards.pages()}
    assert slugs >= {"city-overview", "employment", "industry-subsidy", "relocation", "cooperation", "funds", "campaigns", "exit", "monitoring", "rectification"}


@pytest.mark.parametrize(("slug", "chart"), CHARTS, ids=[f"{slug}-{chart.title}" for slug, chart in CHARTS])
def test_each_chart_shows_its_metric(city, figures, slug, chart):
    """The drawn value of each county, or of the city this week, is what `reporting.metrics` answers by a query of its own."""
    drawn = figures.draw(chart)
    compared = 0
    for number, about in enumerate(chart.metrics):
        if chart.series or (chart.where and re.sub(r"\b[a-z_]+ = '[\w\-]+'|\band\b", "", chart.where).strip()):
            continue  # another breakdown than the metrics have; their sums are compared through the other charts
        if chart.kind in dashboards.ACROSS and chart.by is None:
            values = metric_by(figures.connection, about.name, "county_code", week=WEEK, of=chart.of).values
            for label, row in drawn.rows:
                expected = next((v for code, v in values.items() if county_name(code) == label), None)
                if expected is None and row[number] == 0:  # a list without such a row: nothing of it, by its own question
                    code = next(c for c in small_city.COUNTIES if county_name(c) == label)
                    expected = metric(figures.connection, about.name, week=WEEK, county=code, of=chart.of).value
                assert row[number] == expected, (label, about.name)
                compared += expected is not None
        elif chart.by is None:
            expected = metric(figures.connection, about.name, week=WEEK, of=chart.of).value
            assert drawn.rows[-1][1][number] == expected, about.name
            compared += expected is not None
        else:
            code = CODES.get(chart.by, chart.by.removesuffix("_name"))
            values = metric_by(figures.connection, about.name, code, week=WEEK, of=chart.of).values
            assert sorted(filter(None, values.values())) == sorted(row[number] for _, row in drawn.rows if row[number])
            compared += 1
    assert compared or chart.series or chart.where, "a chart that was never compared"


def test_a_county_without_figures_is_a_gap_and_carried_ones_are_marked(figures):
    chart = next(c for slug, c in CHARTS if slug == "relocation" and c.kind == "bars" and c.by is None)
    drawn = figures.draw(chart)
    rows = dict(drawn.rows)
    assert rows[county_name(small_city.SILENT)][0] is not None and county_name(small_city.SILENT) in drawn.marked
    silent = next(name for name in rows if name not in {county_name(c) for c in small_city.COUNTIES})
    assert rows[silent] == [None] * len(drawn.names)
    assert "— 缺" in drawn.picture


def test_the_schedule_is_that_of_the_month_end_before(figures):
    assert figures.target("2020-W13") is None  # ends on 29 March
    assert (figures.target("2020-W14"), figures.target("2020-W26"), figures.target("2020-W27")) == (Decimal("0.25"), Decimal("0.25"), Decimal("0.5"))


def test_what_overlaps_cannot_be_put_on_a_page_as_a_sum():
    known = {o.mart: o for o in dashboards.overviews()}
    with pytest.raises(ValueError, match="sums fund_spent over fund_line"):
        dashboards._chart({"bars": "fund_spent"}, known)
    assert dashboards._chart({"bars": "fund_spent", "where": "fund_line = 'special'"}, known) is not None


def test_pages_are_whole_and_say_week_publication_and_what_is_carried(city):
    with database.connect(city.settings, autocommit=True) as connection:
        folder = build_site(connection, city.settings).parent
        subsidy = metric(connection, "paid_subsidy", week=WEEK).value
    for page in dashboards.pages():
        text = unescape((folder / "charts" / f"{page['slug']}.html").read_text(encoding="utf-8"))
        assert "第 2 号发布" in text and WEEK in text
        assert not re.search(r'(?:src|href)="https?:', text)
    text = unescape((folder / "charts" / "industry-subsidy.html").read_text(encoding="utf-8"))
    assert f"{Decimal(in_table(subsidy, 'yuan')):,}" in text
    assert f"{county_name(small_city.SILENT)}（{small_city.WEEKS[0]}）" in text
