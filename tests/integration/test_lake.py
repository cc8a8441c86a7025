"""The Parquet lake: what is accepted, no personal data, written once, and whole after any accident."""

from decimal import Decimal

import pyarrow.dataset
import pytest
from warehouse_rows import submit as submit_row

from ingestion import lake
from ingestion.contracts import contracts
from warehouse import database
from warehouse.settings import WarehouseError

pytestmark = pytest.mark.database
COUNTY, OTHER = "451022", "451024"
WEEK = "2020-W20"


@pytest.fixture
def writer(settings):
    with database.connect(settings, autocommit=True) as opened:
        yield opened


def submit(connection, *what, **how) -> int:
    with connection.transaction():
        return submit_row(connection, *what, **how)


def rows_of(settings, form: str) -> list[dict]:
    found = pyarrow.dataset.dataset(lake.folder(settings) / "raw" / form.lower(), format="parquet", partitioning="hive")
    return sorted(found.to_table().to_pylist(), key=lambda row: (row["submission_id"], row["row_no"]))


def files(settings) -> set[str]:
    root = lake.folder(settings) / "raw"
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


def test_rows_are_exact_and_blank_is_not_empty(settings, writer):
    rows = [
        {"channel": "online", "sales": Decimal("999999999999.99"), "poor_persons_benefited": 0},
        {"channel": "fair", "sales": None, "poor_persons_benefited": None},
    ]
    number = submit(writer, "COP03", COUNTY, WEEK, rows)
    text = submit(writer, "EPI01", COUNTY, WEEK, [{"measure": "第一行\n“第二行”, \"第三\"", "affected": Decimal("1.23456789012345678901")}, {"measure": None}, {"measure": ""}])
    lake.export(writer, settings)
    found = rows_of(settings, "COP03")
    assert [(r["submission_id"], r["week"], r["channel"], r["sales"], r["poor_persons_benefited"]) for r in found] == [
        (number, WEEK, "online", Decimal("999999999999.99"), 0),
        (number, WEEK, "fair", None, None),
    ]
    measures = [(r["measure"], r["affected"]) for r in rows_of(settings, "EPI01") if r["submission_id"] == text]
    assert measures[0] == ("第一行\n“第二行”, \"第三\"", Decimal("1.23456789012345678901"))
    assert [m for m, _ in measures[1:]] == [None, ""]


def test_no_personal_column_leaves(settings, writer):
    secret = {"household_no": "451022000000000001", "head_name": "张某某", "id_number": "451022197001011234"}
    submit(writer, "MON02", COUNTY, WEEK, [secret])
    submit(writer, "IND02", COUNTY, WEEK, [secret])
    exported = lake.export(writer, settings)
    for form in contracts().codes:
        personal = {f.name for f in contracts().form(form).fields if f.personal}
        assert not personal & set(lake.raw_schema(form).names)
    assert all(r["household_key"] for r in rows_of(settings, "MON02"))
    written = b"".join(p.read_bytes() for p in lake.folder(settings).rglob("*.parquet"))
    assert exported.rows == 2 and not [v for v in secret.values() if v.encode() in written]


def test_an_export_writes_what_came_since_the_last_one(settings, writer):
    submit(writer, "COP03", COUNTY, WEEK, [{}])
    submit(writer, "COP03", OTHER, WEEK, [{}, {"channel": "fair"}])
    submit(writer, "DIS01", OTHER, WEEK, [], state="returned")
    first = lake.export(writer, settings)
    assert (first.files, first.rows) == (1, 3)
    before = files(settings)
    assert (again := lake.export(writer, settings)).files == 0 and files(settings) == before
    submit(writer, "COP03", COUNTY, WEEK, [{"sales": Decimal("7.00")}])  # a correction
    submit(writer, "COP03", COUNTY, "2020-W21", [{}])
    second = lake.export(writer, settings)
    assert (second.files, second.rows) == (2, 2) and before < files(settings)
    assert len(rows_of(settings, "COP03")) == 5, "what was superseded stays: earlier publications refer to it"
    small = {s.name: s.path for s in second.sources if not s.partitioned}
    assert {s.path.parent for s in again.sources if not s.partitioned}.isdisjoint((lake.folder(settings) / "small").iterdir())
    accepted = pyarrow.dataset.dataset(small["intake.accepted_submission"]).to_table().to_pylist()
    standing = writer.execute("select submission_id, form, county_code, week from intake.accepted_submission").fetchall()
    assert sorted((r["submission_id"], r["form"], r["county_code"], r["week"]) for r in accepted) == sorted(standing)


def test_accidents_are_made_good(settings, writer):
    for county in (COUNTY, OTHER):
        submit(writer, "COP03", county, WEEK, [{}])
        lake.export(writer, settings)
    whole = rows_of(settings, "COP03")
    lost = sorted((lake.folder(settings) / "raw/cop03").rglob("*.parquet"))[0]
    lost.unlink()
    draft, stray = lost.with_name(".9.parquet.part"), lost.with_name("000000999.parquet")
    for left in (draft, stray):  # of an export that was killed before it committed
        left.write_bytes(b"half")
    assert lake.export(writer, settings).files == 1
    assert rows_of(settings, "COP03") == whole and not draft.exists() and not stray.exists()


def test_many_files_become_one(settings, writer):
    for n in range(lake.MANY_FILES):
        submit(writer, "COP03", COUNTY, WEEK, [{"sales": Decimal(n)}])
        lake.export(writer, settings)
    whole = rows_of(settings, "COP03")
    assert len(files(settings)) == lake.MANY_FILES == len(whole)
    lake.export(writer, settings)
    assert len(files(settings)) == 1 and rows_of(settings, "COP03") == whole


def test_another_layout_is_written_again(settings, writer, monkeypatch):
    submit(writer, "COP03", COUNTY, WEEK, [{}])
    lake.export(writer, settings)
    before = files(settings)
    schema = lake.raw_schema("COP03")
    monkeypatch.setattr(lake, "raw_schema", lambda form, of=lake.raw_schema: schema.append(pyarrow.field("change_reason", pyarrow.string())) if form == "COP03" else of(form))
    assert lake.export(writer, settings).files == 1
    assert files(settings).isdisjoint(before) and "change_reason" in rows_of(settings, "COP03")[0]


def test_a_number_that_would_be_cut_is_refused(settings, writer):
    submit(writer, "EPI01", COUNTY, WEEK, [{"affected": Decimal("0.123456789012345678901")}])
    with pytest.raises(WarehouseError, match=rf"EPI01 {WEEK} .* 20 decimals"):
        lake.export(writer, settings)
    assert files(settings) == set()
    assert writer.execute("select count(*) from ops.lake_submission").fetchone() == (0,)
