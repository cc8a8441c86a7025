"""The report: each figure against SQL written by hand, each address followed, and what the two files say."""

from __future__ import annotations

import json
import re
from decimal import ROUND_HALF_UP, Decimal
from html import unescape

import pytest
from docx import Document
from metric_queries import QUERIES, SLICES
from small_city import LISTED, SENT, SILENT, WEEKS, WHOLE, make, standing

from reporting.addresses import address
from reporting.brief import compose, write_brief
from reporting.brief.elements import MARK, Table
from reporting.metrics import catalogue, metric, metric_by, reading
from reporting.overviews import ensure_overviews, overviews
from warehouse import database
from warehouse.settings import WarehouseError
from warehouse.trace import trace

pytestmark = [pytest.mark.database, pytest.mark.slow]
WEEK = WEEKS[1]


@pytest.fixture(scope="module")
def city(server, template, tmp_path_factory):
    return make(server, template, tmp_path_factory.mktemp("city"))


@pytest.fixture
def connection(city):
    with database.connect(city.settings, autocommit=True) as opened:
        yield opened


def by_hand(connection, name, week=WEEK, of=None):
    query = QUERIES[name].replace(":w", f"'{week}'")
    for column, code in (of or {}).items():
        query = query.replace(":slice", f"{column} = '{code}'")
    with reading(connection):
        return connection.execute(query).fetchone()[0]


def same(left, right):
    if left is None or right is None:
        return left is right
    return abs(Decimal(left) - Decimal(right)) < Decimal("1e-9")


# ---------------------------------------------------------------- metrics


def test_the_table_of_queries_is_whole():
    assert set(QUERIES) == set(catalogue())


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_every_metric_equals_sql_written_by_hand(connection, name):
    about = catalogue()[name]
    if about.never and not about.across:
        column = about.never[0]
        for code in SLICES[column]:
            figure = metric(connection, name, week=WEEK, of={column: code})
            expected = by_hand(connection, name, of={column: code})
            assert expected is not None and same(figure.value, expected), code
        return
    assert same(metric(connection, name, week=WEEK).value, by_hand(connection, name))


SUMS = sorted(m.name for m in catalogue().values() if m.agg == "sum" and not m.is_ratio and not m.filter and not m.never and m.time == "as_of")


@pytest.mark.parametrize("name", SUMS)
def test_sums_equal_what_the_generator_wrote(city, connection, name):
    about = catalogue()[name]
    rows = standing(city, about.form, WEEK)
    if about.value not in rows[0][1]:
        derived = {
            "zero_employment_households": lambda r: r["willing_households"] - r["employed_households"],
            "monitored_households": lambda r: r["unstable_households"] + r["marginal_households"],
            "monitored_persons": lambda r: r["unstable_persons"] + r["marginal_persons"],
        }[about.value]
    else:
        def derived(r):
            return r[about.value]
    assert same(metric(connection, name, week=WEEK).value, sum(derived(r) or 0 for _, r in rows))


def test_flows_are_summed_over_the_period_and_leave_out_what_is_carried(city, connection):
    both = metric(connection, "transported_persons", week=WEEK, since=WEEKS[0])
    assert both.value == sum(r["persons"] for (form, _, _), rows in city.truth.items() if form == "COP02" for r in rows)
    assert (SILENT, WEEK) in both.gaps
    new = metric(connection, "new_monitored_households", week=WEEK)
    assert new.value == sum(r["new_households"] for (form, _, week), rows in city.truth.items() if (form, week) == ("MON01", WEEK) for r in rows)
    assert new.absent and SILENT in new.absent


def test_what_may_not_be_summed_is_refused(connection):
    with pytest.raises(ValueError, match="fund_line"):
        metric(connection, "fund_spent", week=WEEK)
    with pytest.raises(ValueError, match="fund_line"):
        metric_by(connection, "fund_spent", "county_code", week=WEEK)
    assert metric_by(connection, "fund_spent", "fund_line", week=WEEK).value is None


def test_a_missing_figure_has_its_reason_and_is_never_zero(connection):
    figure = metric(connection, "counties_not_exited", week=WEEK, county=WHOLE)
    assert figure.value is None and "无须报送" in figure.reason
    figure = metric(connection, "employed_away", week=WEEK, county="451029")
    assert figure.value is None and "就业扶贫周报表" in figure.reason and "缺报" in figure.reason
    assert metric(connection, "rectification_done", week=WEEKS[0]).reason == f"台账只有发布当周（{WEEK}）的状态"
    assert metric(connection, "employed_away", week=WEEK, publication=1).reason == f"第1号发布只到{WEEKS[0]}"
    with pytest.raises(WarehouseError):
        metric(connection, "employed_away", week=WEEK, publication=99)


def test_an_earlier_publication_is_read_as_it_was_and_the_session_stays_where_it_is(city, connection):
    before = metric(connection, "employed_away", week=WEEKS[0], county=WHOLE, publication=1).value
    now = metric(connection, "employed_away", week=WEEKS[0], county=WHOLE).value
    assert before == sum(r["employed_away"] for r in city.first_sent["EMP01", WHOLE, WEEKS[0]])
    assert now == sum(r["employed_away"] for r in city.truth["EMP01", WHOLE, WEEKS[0]]) != before
    assert connection.execute("select store.reading_publication()").fetchone()[0] == 2


def test_what_is_carried_is_marked(connection):
    assert (SILENT, WEEKS[0]) in metric(connection, "low_income_persons", week=WEEK).carried
    assert metric(connection, "employed_away", week=WEEK).carried == ()


def test_addresses_lead_to_the_figure(city, connection):
    """The first command of each address traces; the total's trace is the figure, and the query run again gives it too."""
    for name, about in catalogue().items():
        of = {about.never[0]: SLICES[about.never[0]][0]} if about.never and not about.across else None
        figure = metric(connection, name, week=WEEK, of=of)
        where = address(connection, figure)
        with reading(connection, where.publication):
            assert same(connection.execute(where.query).fetchone()[0], figure.value)
        if not figure.rows:
            continue
        found = trace(connection, city.settings, publication=where.publication, **where.trace[0])
        if where.trace[0]["key"] == "*" and not about.is_ratio and about.time == "as_of":
            assert same(found.value, figure.value), name
        assert list(found.root.cells()), name


# ---------------------------------------------------------------- the report


@pytest.fixture(scope="module")
def report(city):
    """The half-year report as written, with a text block that a person wrote."""
    folder = city.settings.home / "texts" / "2020-H1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "next_steps.md").write_text("## 巩固成果\n\n全市外出务工{employed_away}，**继续**抓好稳岗。\n\n1. 抓就业\n", encoding="utf-8")
    with database.connect(city.settings, autocommit=True) as connection:
        return write_brief(connection, city.settings)


def html_text(path):
    page = path.read_text(encoding="utf-8")
    return unescape(re.sub(r"<[^>]+>", "", re.sub(r"<style>.*?</style>", "", page, flags=re.S)))


def docx_lines(path):
    document = Document(str(path))
    texts = ["".join(t.text or "" for t in p._p.iter("{http://schemas.openxmlformats.org/wordprocessingml/2006/main}t")) for p in document.paragraphs]
    return document, [t for t in texts if t]


def test_both_files_say_the_same(report):
    page = html_text(report.html)
    _, lines = docx_lines(report.docx)
    body = lines[: next(i for i, t in enumerate(lines) if t.startswith("附一"))]
    assert len(body) > 60
    for line in body:
        assert line.removeprefix("注：") in page, line


def test_every_figure_of_the_text_is_its_metric_in_official_units(city, connection, report):
    record = json.loads((report.html.parent / "figures.json").read_text(encoding="utf-8"))
    assert len(record["figures"]) > 100 and record["publication"] == 2 and record["week"] == WEEK
    page = html_text(report.html)
    away = Decimal(sum(r["employed_away"] for _, r in standing(city, "EMP01", WEEK)))
    assert f"外出务工{(away / 10000).quantize(Decimal('0.01'), ROUND_HALF_UP)}万人" in page
    arrived = sum(r["arrived"] for _, r in standing(city, "FUN01", WEEK) if r["fund_line"] == "special")
    spent = sum(r["spent"] for _, r in standing(city, "FUN01", WEEK) if r["fund_line"] == "special")
    rate = (Decimal(spent) / Decimal(arrived) * 100).quantize(Decimal("0.01"), ROUND_HALF_UP)
    money = (Decimal(arrived) / 10**8).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert re.search(rf"财政专项扶贫资金到位{money}亿元\d+.?，支出.*?，支出率{rate}%", page)
    for name, text in record["figures"].items():
        own, _, part = name.partition("[")
        of = {catalogue()[own].never[0]: part.rstrip("]")} if part else None
        if catalogue()[own].time == "as_of":
            assert same(by_hand(connection, own, of=of), text), name


def test_tables_are_recomputed_by_hand(city, connection):
    told, _ = compose(connection, city.settings, report="work", publication=2, week=WEEK, kind="half-year", county=None)
    tables = {t.title: t for t in told.elements if isinstance(t, Table)}
    rows = {r[0].text: [c.text for c in r[1:]] for r in tables["就业扶贫进展"].rows}
    for county, name in ((WHOLE, "右江区"), (LISTED, "那坡县"), (SILENT, "隆林各族自治县")):
        mine = city.truth["EMP01", county, WEEK]

        def total(field, mine=mine):
            return sum(r[field] for r in mine)

        share = (Decimal(total("employed_away")) / total("employed_away_2019") * 100).quantize(Decimal("0.01"), ROUND_HALF_UP)
        assert rows[name][:4] == [str(total("labour_force")), str(total("employed_away")), str(share), str(total("returned_unemployed"))]
    assert rows["田阳区"][0] == "（缺）" and any(n.startswith("田阳区缺：") for n in tables["就业扶贫进展"].notes)
    marked = [r[0] for r in tables["产业以奖代补进展"].rows if r[0].marked]
    assert [r.text for r in marked] == ["隆林各族自治县"]
    lines = {r[0].text: r[3].text for r in tables["扶贫资金支出进度"].rows}
    spent = sum(r["spent"] for _, r in standing(city, "FUN01", WEEK) if r["fund_line"] == "cooperation")
    assert lines["粤桂扶贫协作资金"] == str((Decimal(spent) / 10000).quantize(Decimal("0.01"), ROUND_HALF_UP))
    assert "合计" not in lines


def test_difficulties_are_those_of_the_data(city, connection):
    told, _ = compose(connection, city.settings, report="work", publication=2, week=WEEK, kind="half-year", county=None)
    tables = {t.title: t for t in told.elements if isinstance(t, Table)}
    target = connection.execute("select target_rate from reference.spending_targets where month_end = '2020-03-31'").fetchone()[0]
    behind = {(c, r["fund_line"]) for c, r in standing(city, "FUN01", WEEK) if r["spent"] < target * r["arrived"]}
    assert behind and len(tables["支出进度低于序时要求的资金"].rows) == len(behind)
    carried = next(t for title, t in tables.items() if title == "沿用往期数的报表")
    forms = {f for f, c, w in city.truth if c == SILENT and w == WEEKS[0] and f not in SENT}
    level = {f for f in forms if f not in ("IND02", "COP02", "DIS01", "REC01")}
    assert len(carried.rows) == len(level) and all(r[1].text == f"隆林各族自治县（{WEEKS[0]}）" for r in carried.rows)
    text = "".join(getattr(e, "text", "") for e in told.elements)
    missing = connection.execute("select count(distinct county_code), count(*) from quality.reporting_status where week = %s and status = 'missing'", [WEEK]).fetchone()
    assert f"缺报{missing[0]}个县{missing[1]}张表" in text


def test_every_figure_links_to_its_source(report):
    page = report.html.read_text(encoding="utf-8")
    numbers = re.findall(r'class="figure" href="#s(\d+)"', page)
    ids = set(re.findall(r'<li id="s(\d+)"', page))
    assert set(numbers) <= ids and len(ids) == report.figures
    for entry in re.findall(r'<li id="s\d+">(.*?)</li>', page, flags=re.S):
        assert "<code>select " in entry and ("warehouse " in entry or " 0行" in entry)
    assert "http://" not in page and "https://" not in page and "<script" not in page


def test_the_document_is_official(report):
    document, lines = docx_lines(report.docx)
    assert lines[0] + lines[1] == "百色市2020年上半年脱贫攻坚工作情况汇报" or lines[0] == "百色市2020年上半年脱贫攻坚工作情况汇报"
    section = document.sections[0]
    assert round(section.page_width.mm) == 210 and round(section.top_margin.mm) == 37 and round(section.left_margin.mm) == 28
    headings = [(p.style.name, p.text) for p in document.paragraphs if p.style.name.startswith("Heading")]
    first = [t for s, t in headings if s == "Heading 1"]
    assert first[0].startswith("一、") and first[-1].endswith("下一步工作打算") and ("Heading 2", "（一）产业扶贫") in headings
    body = next(p for p in document.paragraphs if "计划发展特色产业" in p.text)
    assert body.paragraph_format.line_spacing.pt == 28 and body.runs[0].font.size.pt == 16
    assert "仿宋_GB2312" in body.runs[0]._r.xml
    xml = document.element.xml
    anchors, marks = set(re.findall(r'w:anchor="(s\d+)"', xml)), set(re.findall(r'w:name="(s\d+)"', xml))
    assert anchors and anchors <= marks and "PAGE" in section.footer._element.xml


def test_what_people_wrote_flows_in_with_its_figures(city, report):
    page = html_text(report.html)
    assert "巩固成果" in page and "继续抓好稳岗" in page and "1．抓就业" in page and "此处由人工撰写" not in page
    assert not any("next_steps" in path for path in report.to_write)
    assert any("party_building" in path for path in report.to_write)


def test_the_comparison_splits_revision_from_new_weeks(city, connection):
    told, _ = compose(connection, city.settings, report="work", publication=2, week=WEEK, kind="week", county=WHOLE)
    table = next(t for t in told.comparison if isinstance(t, Table))
    row = {r[0].text: r for r in table.rows}["外出务工人数"]

    def total(rows):
        return sum(r["employed_away"] for r in rows)

    before, revised, now = total(city.first_sent["EMP01", WHOLE, WEEKS[0]]), total(city.truth["EMP01", WHOLE, WEEKS[0]]), total(city.truth["EMP01", WHOLE, WEEK])

    def printed(n):
        return ("+" if n > 0 else "−") + (f"{abs(n)}人" if abs(n) < 10000 else f"{(Decimal(abs(n)) / 10000).quantize(Decimal('0.01'), ROUND_HALF_UP)}万人")

    assert row[3].text == printed(now - before) and row[4].text == printed(revised - before)
    assert "补报修订：右江区" in row[5].text and f"新增{WEEK}数据" in row[5].text


def test_county_and_epidemic_reports(city, connection, tmp_path):
    done = write_brief(connection, city.settings, week=WEEK, kind="week", county=WHOLE, out=tmp_path / "county")
    page = html_text(done.html)
    assert "右江区脱贫攻坚工作周报" in page and "贫困县摘帽和贫困村出列" not in page and "全市" not in page
    done = write_brief(connection, city.settings, report="epidemic", week=WEEK, kind="week", out=tmp_path / "epidemic")
    page = html_text(done.html)
    stranded = sum(r["affected"] for _, r in standing(city, "EPI01", WEEK) if r["impact"] == "stranded_workers")
    printed = f"{stranded:.0f}人" if stranded < 10000 else f"{(stranded / 10000).quantize(Decimal('0.01'), ROUND_HALF_UP)}万人"
    assert "（第2期）" in page and f"滞留未返岗务工人员{printed}" in page
    with pytest.raises(WarehouseError):
        write_brief(connection, city.settings, week=WEEK, kind="week", county="999999")
    with pytest.raises(WarehouseError):
        write_brief(connection, city.settings, week="2020-W30", kind="week")


def test_another_city_is_configuration(city, connection, tmp_path):
    own = city.settings.home / "brief" / "outline.yaml"
    own.parent.mkdir(exist_ok=True)
    own.write_text("city: {name: 某市, office: 某市扶贫办}\n", encoding="utf-8")
    try:
        told, _ = compose(connection, city.settings, report="work", publication=2, week=WEEK, kind="month", county=None)
    finally:
        own.unlink()
    assert told.title == "某市2020年6月脱贫攻坚工作情况汇报" and told.signature[0] == "某市扶贫办"


def test_carried_figures_carry_their_mark(report):
    page = report.html.read_text(encoding="utf-8")
    assert re.search(rf"农村低保对象<a class=\"figure\"[^>]*>[^<]+<sup>\d+{MARK}</sup>", page)


# ---------------------------------------------------------------- overviews and exports


def test_overviews_have_the_rows_of_their_facts_and_follow_the_publication(connection):
    assert ensure_overviews(connection) == []  # publishing made them, and they stand
    for view in overviews():
        for number in (1, 2):
            with reading(connection, number):
                counts = connection.execute(f"select (select count(*) from marts.{view.name}), (select count(*) from marts.{view.mart}), (select max(publication_id) from marts.{view.name})").fetchone()
            assert counts[0] == counts[1] > 0 and counts[2] == number, view.name
    lacking = connection.execute(
        """select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid where c.relnamespace = 'marts'::regnamespace
           and c.relname like '%%overview' and a.attnum > 0 and coalesce(col_description(c.oid, a.attnum), '') not like '%% | %%'"""
    ).fetchall()
    assert lacking == []


def test_an_overview_whose_definition_changed_is_made_again_with_its_grants(connection):
    connection.execute("create role overview_reader")
    try:
        connection.execute("grant select on marts.employment_overview to overview_reader")
        connection.execute("comment on view marts.employment_overview is 'old [000000000000]'")
        assert ensure_overviews(connection) == ["employment_overview"]
        assert connection.execute("select has_table_privilege('overview_reader', 'marts.employment_overview', 'select')").fetchone()[0]
    finally:
        connection.execute("drop owned by overview_reader")
        connection.execute("drop role overview_reader")


def test_exports_hold_what_the_mart_holds(city, connection, tmp_path):
    import csv

    import openpyxl
    from pyarrow import parquet

    from reporting.export import write_export

    rows = connection.execute("select township_name, employed_away from marts.employment_overview order by week, township_code").fetchall()
    for kind in ("csv", "xlsx", "parquet"):
        done = write_export(connection, "employment_overview", tmp_path / f"e.{kind}")
        assert (done["rows"], done["publication"]) == (len(rows), 2)
    data = (tmp_path / "e.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    read = list(csv.DictReader(data.decode("utf-8-sig").splitlines()))
    assert sorted((r["township_name"], int(r["employed_away"])) for r in read) == sorted(rows)
    table = parquet.read_table(tmp_path / "e.parquet")
    assert sorted(zip(table["township_name"].to_pylist(), table["employed_away"].to_pylist(), strict=True)) == sorted(rows)
    sheet = openpyxl.load_workbook(tmp_path / "e.xlsx").active
    heads = [c.value for c in sheet[1]]
    away = next(i for i, h in enumerate(heads) if h.endswith("\nemployed_away"))
    assert heads[away].startswith("外出务工人数") and sheet.freeze_panes == "C2"
    assert sum(r[away].value for r in sheet.iter_rows(min_row=2)) == sum(n for _, n in rows)
    assert write_export(connection, "employment_overview", tmp_path / "first.csv", publication=1)["rows"] < len(rows)
    with pytest.raises(WarehouseError):
        write_export(connection, "no_such_mart", tmp_path / "x.csv")


def test_text_is_never_a_formula(connection, tmp_path):
    import openpyxl

    from reporting.export import write_export

    connection.execute("create view marts.odd as select '=1+1'::text as note, 5 as n, 0.5 as some_rate")
    try:
        write_export(connection, "odd", tmp_path / "odd.xlsx")
        write_export(connection, "odd", tmp_path / "odd.csv")
    finally:
        connection.execute("drop view marts.odd")
    row = openpyxl.load_workbook(tmp_path / "odd.xlsx").active[2]
    assert (row[0].value, row[0].data_type, row[1].value, row[2].number_format) == ("=1+1", "s", 5, "0.00%")
    assert "'=1+1" in (tmp_path / "odd.csv").read_text(encoding="utf-8-sig")
