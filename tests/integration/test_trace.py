"""Figures traced to their cells: each file is opened here without the warehouse, and what stands there makes the figure."""

import csv
import datetime as dt
import io
import itertools
import json
import os
import random
import re
import unicodedata
import zipfile
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import openpyxl
import psycopg
import pytest
from generator_places import Places
from python_calamine import CalamineWorkbook

from expectations.judge import judge
from ingestion import personal
from ingestion.contracts import contracts
from ingestion.load import load
from ingestion.receive import receive
from warehouse import database
from warehouse.build import build
from warehouse.calendar import due_at
from warehouse.commands import trace as command
from warehouse.dbt_sources import column_name, forms_of_marts
from warehouse.keys import keyring
from warehouse.publication import publish
from warehouse.settings import Settings, WarehouseError
from warehouse.trace import recompute, trace
from warehouse.trace.opening import export
from warehouse.trace.origins import key_of, origins

pytestmark = [pytest.mark.database, pytest.mark.slow]
FIGURES, SEED = 240, 7
COUNTIES = 12 if os.environ.get("WAREHOUSE_LONG") else 3  # each writes in a way of its own
_numbers = itertools.count(1)
# what the derived columns mean, written down a second time
DERIVED = {
    "average_subsidy": lambda r: (r["paid_subsidy"] / r["paid_households"]).quantize(Decimal("0.01"), ROUND_HALF_UP) if r["paid_households"] else None,
    "zero_employment_households": lambda r: r["willing_households"] - r["employed_households"],
    "monitored_households": lambda r: r["unstable_households"] + r["marginal_households"],
    "monitored_persons": lambda r: r["unstable_persons"] + r["marginal_persons"],
    "unresolved": lambda r: r["affected"] - r["resolved"],
}


@dataclass
class Line:
    settings: Settings
    demo: object
    folders: dict[str, Path]  # path as received → folder it was received from
    corrected: dict


@pytest.fixture(scope="module")
def line(server, template, tmp_path_factory):
    """Three weeks of three counties in two publications, and a third that corrects a cell which a trace named."""
    from demo.generate import write_demo

    name = f"trace_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create database {name} template {template} strategy file_copy")
    settings = replace(Settings.from_environment(), home=tmp_path_factory.mktemp("trace"), url=server.rsplit("/", 1)[0] + "/" + name)
    settings.prepare()
    demo = write_demo(tmp_path_factory.mktemp("demo"), weeks=3, counties=COUNTIES, payouts=4)
    told = Line(settings, demo, {}, {})
    with database.connect(settings, autocommit=True) as connection:
        for folder, week in ((demo.backfill, demo.weeks[-2]), (demo.last_week, demo.weeks[-1])):
            run(told, connection, folder, week)
        correct(told, connection, tmp_path_factory.mktemp("correction"))
    yield told
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)")


def run(told: Line, connection, folder: Path, week: str) -> None:
    receive(connection, told.settings, folder, now=dt.datetime(2020, 1, 25, tzinfo=dt.UTC))
    for (path,) in connection.execute("select original_path from intake.file").fetchall():
        if (folder / path).is_file():
            told.folders.setdefault(path, folder)
    load(connection, told.settings, workers=0, outbox=False)
    now = due_at(week, "*", {}, told.settings.timezone) + dt.timedelta(days=3)
    build(told.settings, now=now)
    verdict = judge(connection, told.settings, now=now, great_expectations=False)
    publish(connection, told.settings, check_run_id=verdict.check_run_id, approved_by="审核人甲")


def correct(told: Line, connection, folder: Path) -> None:
    """Change the cell that a trace names, and send the workbook again."""
    week = told.demo.weeks[-1]
    for county, key in connection.execute(
        "select county_code, impact from marts.fct_epidemic_impact_weekly where week = %s and carried_from_week is null order by 1, 2", [week]
    ).fetchall():
        (cell,) = trace(connection, told.settings, mart="fct_epidemic_impact_weekly", week=week, county=county, key=key, column="measure").root.cells()
        if cell.file.endswith(".xlsx"):
            break
    book = openpyxl.load_workbook(told.folders[cell.file] / cell.file)
    book[cell.sheet][cell.cell] = "更正后的措施"
    told.corrected = {"county": county, "key": key, "week": week, "cell": cell}
    book.save(folder / ("更正" + cell.name))
    run(told, connection, folder, week)


@pytest.fixture
def connection(line):
    with database.connect(line.settings, autocommit=True) as opened:
        yield opened


# ---------------------------------------------------------------- reading a cell without the warehouse


def opened(line: Line, file: str, member: str, sheet: str) -> list[list]:
    data, name = (line.folders[file] / file).read_bytes(), member or file
    if member:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = archive.read(member)
    if name.endswith(".csv"):
        for encoding in ("utf-8-sig", "gb18030"):
            try:
                return list(csv.reader(io.StringIO(data.decode(encoding), newline="")))
            except UnicodeDecodeError:
                continue
    if name.endswith(".xls"):
        return CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_name(sheet).to_python(skip_empty_area=False)
    return [list(row) for row in openpyxl.load_workbook(io.BytesIO(data), data_only=True)[sheet].iter_rows(values_only=True)]


def content(line: Line, books: dict, source: dict) -> str:
    place = (source["file"], source["member"], source["sheet"])
    if place not in books:
        books[place] = opened(line, *place)
    letters, digits = re.fullmatch(r"([A-Z]+)(\d+)", source["cell"]).groups()
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - 64
    row = books[place][int(digits) - 1]
    value = row[column - 1] if column <= len(row) else None
    if isinstance(value, (dt.datetime, dt.date)):
        return value.isoformat()[:10]
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, (int, float)):
        return format(value, ".15g")
    return str("" if value is None else value).strip()


def number(text: str, factor: str) -> Decimal | None:
    """A number as a county writes it: full width, separators, units behind, a per cent sign."""
    text = unicodedata.normalize("NFKC", text).replace(",", "").strip()
    found = re.match(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?", text)
    return Decimal(found[0]) * Decimal(factor) if found else None


# ---------------------------------------------------------------- 240 figures


def figures(line: Line, connection):
    """Drawn at random over marts, publications and columns, derived ones as often as base ones."""
    draw, drawn = random.Random(SEED), []
    publications = [n for (n,) in connection.execute("select publication_id from store.publication order by 1")]
    rows = {}
    while len(drawn) < FIGURES:
        mart, publication = draw.choice(sorted(forms_of_marts())), draw.choice(publications)
        if (mart, publication) not in rows:
            connection.execute(f"set warehouse.publication = '{publication}'")
            with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
                rows[mart, publication] = cursor.execute(f"select * from marts.{mart} order by 1, 2, 3, 4").fetchall()
        if not rows[mart, publication]:
            continue
        row = draw.choice(rows[mart, publication])
        kinds = {"cell": [], "derived": []}
        for o in origins(mart).values():
            if o.kind != "frame":
                kinds["cell" if o.kind == "cell" else "derived"].append(o.column)
        columns = draw.choice([k for k in kinds.values() if k])
        drawn.append((mart, publication, row, draw.choice(columns)))
    return drawn


def test_random_figures_come_from_the_cells_that_the_trace_names(line, connection):
    books, kinds, cells = {}, set(), 0
    for mart, publication, row, column in figures(line, connection):
        where = f"{mart}.{column} {row['county_code']} {row.get('week')} in {publication}"
        found = trace(
            connection, line.settings, mart=mart, column=column, key=str(row[key_of(mart).column]), county=row["county_code"],
            week=row.get("week"), publication=publication,
        )  # fmt: skip
        told = json.loads(json.dumps(found.as_json(), default=str))
        kinds.add(found.root.kind)
        assert found.value == row[column], where
        assert recompute(found) == row[column], where
        for source in told["sources"]:
            if not source["row_no"]:
                continue  # a heading
            cells += 1
            stood = content(line, books, source)
            if source["masked"]:
                assert stood and source["text"] != stood, where
                continue
            assert stood == source["text"], where
            field = contracts().form(source["form"]).by_name[source["field"]]
            if field.numeric and source["value"] is not None:
                assert abs(number(stood, source["factor"]) - Decimal(str(source["value"]))) < Decimal("0.0051"), where
            elif field.numeric:
                assert number(stood, "1") is None, where
    assert {"cell", "rate", "increment", "formula"} <= kinds
    assert cells > FIGURES / 2


def test_the_cells_are_those_that_the_generator_wrote(line, connection):
    """Right place, not only right text: a figure that stands in two cells is told apart. Cells of derived figures too."""
    places, books, checked, kinds = Places(line.demo), {}, 0, set()
    for mart, publication, row, column in figures(line, connection):
        found = trace(
            connection, line.settings, mart=mart, column=column, key=str(row[key_of(mart).column]), county=row["county_code"],
            week=row.get("week"), publication=publication,
        )  # fmt: skip
        for node in found.root.walk():
            cell = node.source
            if not cell or not cell.row_no or cell.name.startswith("更正"):
                continue  # a heading, or a sheet that this module has sent again under a name of its own
            rows = line.demo.values.get((cell.form, cell.county_code, cell.week))
            key = contracts().form(cell.form).key
            at = [i for i, r in enumerate(rows or ()) if key.pseudonymised or str(r[key.name]) == node.key]
            if not at:
                continue  # a form that was returned in the end: the generator keeps no rows of it
            row_of = cell.row_no - 1 if key.pseudonymised else at[0]  # whose number is a secret, its place in the list is not
            place = places.of(cell.form, cell.county_code, cell.week, row_of, cell.field)
            where = f"{mart}.{column} {cell.county_code} {cell.week} in {publication}: {cell.file}"
            assert any(f.endswith("/" + cell.file) for f in place.files), where
            assert (cell.member, cell.sheet) == (place.member, place.sheet), where
            if cell.cell != place.cell:  # only where the county merged cells, and the text stands in the first of them
                assert not content(line, books, cell.as_json() | {"cell": place.cell}), where
            checked, kinds = checked + (cell.cell == place.cell), kinds | {found.root.kind}
    assert checked > FIGURES and {"cell", "rate", "increment", "formula"} <= kinds


def test_the_latest_figures_are_those_that_the_counties_meant(line, connection):
    """Against what the generator knows, base fields, rates, increments and sums alike; nothing here asks the trace how."""
    draw, checked = random.Random(SEED), set()
    values = {k: v for k, v in line.demo.values.items() if k[0] != "EPI01" and not contracts().form(k[0]).key.personal}
    for form, county, week in draw.sample(sorted(values), 60):
        contract, mart = contracts().form(form), next(m for m, f in forms_of_marts().items() if f == form)
        if form == "REC01":
            continue
        before = {r[contract.key.name]: r for r in values.get((form, county, earlier(line, week)), [])}
        row = draw.choice(values[form, county, week])
        for name, origin in origins(mart).items():
            if origin.kind == "frame" or origin.personal:
                continue
            if origin.kind in ("cell", "rate"):
                field = next(f for f in contract.fields if column_name(f) == name)
                expected = row[field.name]
            elif origin.kind == "increment":
                field = name.removesuffix("_increment")
                last = before.get(row[contract.key.name])
                if not before and not week.endswith("W01"):
                    continue
                expected = row[field] if week.endswith("W01") else last and row[field] - last[field]
            elif name in DERIVED:
                expected = DERIVED[name](row)
            else:
                continue
            found = trace(connection, line.settings, mart=mart, column=name, key=str(row[contract.key.name]), county=county, week=week)
            if origin.kind == "rate" and expected is not None:
                expected = Decimal(expected).quantize(Decimal("0.000001"), ROUND_HALF_UP)
            assert found.value == expected, f"{mart}.{name} {county} {week}"
            checked.add(origin.kind)
    assert checked >= {"cell", "rate", "increment", "formula"}


def earlier(line: Line, week: str) -> str | None:
    place = line.demo.weeks.index(week)
    return line.demo.weeks[place - 1] if place else None


# ---------------------------------------------------------------- addresses


def test_a_corrected_cell_changes_the_figure_and_the_old_publication_keeps_its_own(line, connection):
    address = {k: line.corrected[k] for k in ("county", "key", "week")}
    old = trace(connection, line.settings, mart="fct_epidemic_impact_weekly", column="measure", publication=2, **address)
    new = trace(connection, line.settings, mart="fct_epidemic_impact_weekly", column="measure", **address)
    assert (new.value, new.publication.publication_id) == ("更正后的措施", 3)
    assert (old.value, old.root.source.cell) == (line.corrected["cell"].value, new.root.source.cell)
    assert (old.root.source.version, new.root.source.version) == (1, 2)
    assert new.root.source.name.startswith("更正") and new.publication.approved_by == "审核人甲"
    rows = connection.execute("select old_value, new_value, submission_id from marts.fct_revision where publication_id = 3 and column_name = 'measure'").fetchall()
    assert (old.value, "更正后的措施", new.root.source.submission_id) in rows


def test_totals_of_random_columns_come_from_the_cells_of_all_counties(line, connection):
    """City and county totals over all marts and publications, each added up here from the texts of the original files."""
    draw, books, checked = random.Random(SEED), {}, 0
    candidates = [(m, o.column) for m in sorted(forms_of_marts()) for o in origins(m).values() if o.adds_up and o.kind == "cell" and "week" in origins(m)]
    for mart, column in draw.sample(candidates, 24):
        publication, county = draw.choice((1, 2, 3)), None
        week = draw.choice(line.demo.weeks[: 2 if publication == 1 else 3])
        connection.execute(f"set warehouse.publication = '{publication}'")
        counties = [c for (c,) in connection.execute(f"select distinct county_code from marts.{mart} where week = %s order by 1", [week])]
        if not counties:
            continue
        if draw.random() < 0.4:
            county = draw.choice(counties)
        found = trace(connection, line.settings, mart=mart, column=column, key="*", county=county, week=week, publication=publication)
        published = connection.execute(f"select sum({column}) from marts.{mart} where week = %s and (%s::text is null or county_code = %s)", [week, county, county]).fetchone()[0]
        texts = [(content(line, books, source), source["factor"]) for source in found.as_json()["sources"]]
        figures_ = [n for n in (number(text, factor) for text, factor in texts) if n is not None]
        assert found.value == recompute(found) == published, f"{mart}.{column} {county} {week} in {publication}"
        assert (published is None and not figures_) or abs(sum(figures_) - published) < Decimal("0.0051") * len(figures_), f"{mart}.{column}"
        checked += 1
    assert checked > 15
    connection.execute("reset warehouse.publication")


def test_a_figure_that_is_carried_forward_comes_from_the_earlier_weeks_cell(line, connection):
    found_any = 0
    for mart in sorted(forms_of_marts()):
        about = origins(mart)
        if "carried_from_week" not in about:
            continue
        column = next((o.column for o in about.values() if o.kind == "cell" and not o.is_key and not o.personal and o.field.numeric), None)
        row = column and connection.execute(
            f"select county_code, week, carried_from_week, {key_of(mart).column}, {column} from marts.{mart} where carried_from_week is not null order by 1, 2 limit 1"
        ).fetchone()
        if not row:
            continue
        county, week, earlier_week, key, value = row
        found = trace(connection, line.settings, mart=mart, column=column, key=str(key), county=county, week=week)
        (cell,) = found.root.cells()
        assert (found.root.kind, found.value, cell.week) == ("carried", value, earlier_week) and earlier_week < week
        assert abs(number(content(line, {}, cell.as_json()), cell.factor) - Decimal(str(value))) < Decimal("0.0051")
        found_any += 1
    assert found_any


def test_totals_are_trees_over_all_rows(line, connection):
    week = line.demo.weeks[-1]
    mart = "fct_employment_weekly"
    for column in ("employed_away", "rate_of_2019"):
        expression = "sum(employed_away)" if column == "employed_away" else "round(sum(employed_away)::numeric / sum(employed_away_2019), 6)"
        found = trace(connection, line.settings, mart=mart, column=column, key="*", week=week)
        assert found.value == recompute(found) == connection.execute(f"select {expression} from marts.{mart} where week = %s", [week]).fetchone()[0]
        (rows,) = connection.execute(f"select count(*) from marts.{mart} where week = %s", [week]).fetchone()
        assert len(list(found.root.cells())) == rows * (1 if column == "employed_away" else 2)
    county = connection.execute(f"select min(county_code) from marts.{mart}").fetchone()[0]
    part = trace(connection, line.settings, mart=mart, column="employed_away", key="合计", county=county, week=week)
    assert part.value == connection.execute(f"select sum(employed_away) from marts.{mart} where (week, county_code) = (%s, %s)", [week, county]).fetchone()[0]
    with pytest.raises(WarehouseError, match="does not add up"):
        trace(connection, line.settings, mart=mart, column="township_code", key="*", week=week)


def test_an_address_of_several_rows_names_them_and_takes_the_county_in_the_key(line, connection):
    week = line.demo.weeks[-1]
    with pytest.raises(WarehouseError, match=r"45\d{4}/special_central") as error:
        trace(connection, line.settings, mart="fct_fiscal_fund_weekly", column="spent", key="special_central", week=week)
    address = re.search(r"45\d{4}/special_central", str(error.value))[0]
    found = trace(connection, line.settings, mart="fct_fiscal_fund_weekly", column="spent", key=address, week=week)
    assert found.county_code == address[:6] and found.root.kind == "cell"


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ({"mart": "dim_county", "column": "county_name", "key": "1"}, "no fact"),
        ({"mart": "fct_employment_weekly", "column": "salary", "key": "1"}, "no column"),
        ({"mart": "fct_employment_weekly", "column": "employed_away", "key": "999999999"}, "no row"),
        ({"mart": "fct_employment_weekly", "column": "employed_away", "key": "1", "publication": 99}, "no publication 99"),
    ],
)
def test_an_address_of_nothing_is_told(line, connection, address, sentence):
    with pytest.raises(WarehouseError, match=sentence):
        trace(connection, line.settings, **address)


def test_the_rules_of_a_figure_come_with_their_results(line, connection):
    week = line.demo.weeks[-1]
    county, key = connection.execute(
        "select county_code, township_code from marts.fct_employment_weekly where week = %s and carried_from_week is null limit 1", [week]
    ).fetchone()
    rules = {r["rule_id"]: r for r in trace(connection, line.settings, mart="fct_employment_weekly", column="employed_away", key=key, county=county, week=week).rules}
    assert {"EMP-001", "EMP-003", "EMP-007", "GEN-TYPE"} <= rules.keys()
    assert "EMP-005" not in rules  # public posts
    assert rules["EMP-001"]["status"] == "pass" and rules["EMP-001"]["rows_checked"] > 0


def test_sql_names_the_same_cells(line, connection):
    for mart, publication, row, column in figures(line, connection)[:60]:
        key = str(row[key_of(mart).column])
        found = trace(connection, line.settings, mart=mart, column=column, key=key, county=row["county_code"], week=row.get("week"), publication=publication)
        if found.root.kind == "listed":
            continue
        rows = connection.execute(
            "select path, member, sheet, cell from quality.trace_cell(%s, %s, %s, %s, %s, %s)", [mart, publication, row["county_code"], row.get("week"), key, column]
        ).fetchall()
        assert rows == [(c.file, c.member, c.sheet, c.cell) for c in found.root.cells() if c.row_no], f"{mart}.{column}"


def test_personal_data_stay_behind(line, connection):
    (week, county, key) = connection.execute("select week, county_code, household_key from marts.fct_monitored_household limit 1").fetchone()
    found = trace(connection, line.settings, mart="fct_monitored_household", column="household_key", key=key, county=county, week=week)
    submission, row_no = connection.execute("select submission_id, row_no from raw.mon02 where household_key = %s limit 1", [key]).fetchone()
    number_ = personal.values_of(connection, submission, "MON02", keyring(line.settings))[row_no]["household_no"]
    assert found.value == key and number_ not in json.dumps(found.as_json(), default=str)
    text = connection.execute("select cell_text from quality.trace_cell('fct_monitored_household', null, %s, %s, %s, 'household_key')", [county, week, key]).fetchone()
    assert text == (None,)


def test_the_original_opens_at_the_cell(line, connection, tmp_path):
    address = {k: line.corrected[k] for k in ("county", "key", "week")}
    cell = trace(connection, line.settings, mart="fct_epidemic_impact_weekly", column="measure", **address).root.source
    path = export(line.settings, cell, tmp_path / "copy.xlsx")
    page = openpyxl.load_workbook(path).active
    assert (page.title, page.sheet_view.selection[-1].activeCell) == (cell.sheet, cell.cell)
    assert page[cell.cell].value == "更正后的措施"


def test_what_is_told_to_a_person_names_file_and_cell(line, connection):
    address = {k: line.corrected[k] for k in ("county", "key", "week")}
    found = trace(connection, line.settings, mart="fct_epidemic_impact_weekly", column="measure", **address)
    text = command.describe(found.as_json())
    assert found.root.source.file in text and f"“{found.root.source.sheet}” {found.root.source.cell}" in text and "审核人甲" in text


def test_an_altered_original_is_noticed(line, connection):
    assert command.verify(connection, line.settings) == []
    (sha256,) = connection.execute("select sha256 from intake.file order by file_id limit 1").fetchone()
    path = line.settings.archive / sha256[:2] / sha256
    kept = path.read_bytes()
    try:
        path.chmod(0o644)
        path.write_bytes(kept + b" ")
        assert any("was altered in the archive" in f for f in command.verify(connection, line.settings))
        path.unlink()
        assert any("is missing from the archive" in f for f in command.verify(connection, line.settings))
    finally:
        path.write_bytes(kept)
