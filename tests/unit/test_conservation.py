"""Nothing is lost: every cell of every data row is loaded, rejected with a finding, or kept aside on purpose."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.containers import sheets_of
from ingestion.contracts import contracts
from ingestion.grid import Grid, a1, filled, squeeze
from ingestion.model import FormReading
from ingestion.reading import read_file
from ingestion.reference import codes
from tests.unit import house_styles, layout_files, layouts, true_rows
from tests.unit.reading_files import RECEIVED

MARKS = {squeeze(w) for w in contracts().writing["blank"]}
SERIAL = "序号"


def accounts(reading: FormReading, grid: Grid) -> Counter:
    """What became of each filled cell of the data rows: loaded, rejected, aside (blank marks, serials, unknown columns)."""
    count: Counter[str] = Counter()
    told = {f.cell for f in reading.findings}
    missing = {f.field for f in reading.findings if f.rule_id in ("GEN-COLMISS", "GEN-RATE", "GEN-COUNTY")}
    blocks = {b.number: b for b in reading.blocks}
    for i, (sheet_row, number) in enumerate(zip(reading.sheet_row, reading.block_no, strict=True)):
        fields = {(sheet_row - 1 + s.row_offset, s.col): name for name, s in blocks[number].columns.items()}
        key = next(str(grid.cell(*p)).strip() for p, name in fields.items() if name == contracts().form(reading.form).key.name)
        kept = {*(reading.extra[i] or {}).values(), reading.change_reason[i], key}  # parts of a table repeat the key
        for r in {r for r, _ in fields}:
            for c in filled(grid.rows[r]):
                name, text = fields.get((r, c)), str(grid.cell(r, c)).strip()
                if name is None:
                    count["aside"] += 1
                    columns = [s.col for s in blocks[number].columns.values()]
                    within = min(columns) <= c <= max(columns)
                    assert not within or text in kept or _is_serial(grid, blocks[number], c) or squeeze(text) in MARKS or _number(text) in kept, (a1(r + 1, c), text, kept)
                elif reading.values[name][i] is not None:
                    count["loaded" if reading.acceptable else "rejected"] += 1
                elif squeeze(text) in MARKS or not squeeze(text):
                    count["aside"] += 1
                else:
                    assert a1(r + 1, c) in told or name in missing, (a1(r + 1, c), name, text)
                    count["rejected"] += 1
                count["cells"] += 1
    return count


def _number(text: str) -> str:
    return text.removesuffix(".0")


def _is_serial(grid: Grid, block, col: int) -> bool:
    return any(squeeze(str(grid.cell(r - 1, col))) == SERIAL for r in range(block.header_rows[0], block.header_rows[1] + 1))


@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 10**6), faults=st.integers(0, 4))
def test_every_cell_of_every_row_is_accounted_for(seed, faults):
    rng = random.Random(seed)
    form = contracts().form(rng.choice(contracts().codes))
    truth = true_rows.made_up(form, rng.choice(codes().counties_on(true_rows.SUNDAY)), codes(), rng)
    style = house_styles.any_style(rng)
    sheet = layouts.Sheet()
    layouts.write_form(sheet, truth, style, codes())
    data_cells = [p for p, v in sheet.cells.items() if not isinstance(v, str) and p[0] > style.above + 6]
    for place in rng.sample(data_cells, min(len(data_cells), faults)):
        sheet.cells[place] = rng.choice(["约12", "#REF!", "x", "-3", 1.5, "12.5万元"])
    data = layout_files.as_bytes({"Sheet1": sheet}, style)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"报表.{style.kind}"
        path.write_bytes(data)
        result = read_file(path, received_at=RECEIVED)
    (grid,) = sheets_of(data)
    assert sum(f.rows for f in result.forms) == truth.rows or any(not f.acceptable for f in result.forms)
    for reading in result.forms:
        assert {len(v) for v in reading.values.values()} == {reading.rows}
        count = accounts(reading, grid)
        assert count["loaded"] + count["rejected"] + count["aside"] == count["cells"]
        if reading.acceptable:
            assert not count["rejected"]
        else:
            assert not count["loaded"]
