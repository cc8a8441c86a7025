"""The headings of a sheet: in which rows they stand, one run of them for each table, and what stands above each column."""

from __future__ import annotations

import itertools
import re
from typing import Any

from ingestion.containers import Refusal
from ingestion.grid import Grid, filled, is_empty, plain, squeeze
from ingestion.recognise import Recogniser, as_heading, is_foreign

HEADING_ROWS = 4
MAX_RUNS = 2_000  # headings repeated on every page of the longest list stay well below
MAX_STRIPPED = 120  # columns; wider sheets are not looked at for forms beside each other
STRETCH = 1_000  # rows of a long sheet that are looked at together
SMALL_SHEET = 3_000  # rows; in larger ones headings further down must be written like the first ones
_COLUMN_LETTERS = frozenset(("甲", "乙", "丙", "丁", "A", "B", "C", "栏次", "列次", "栏目", "序号"))
_COLUMN_NUMBER = re.compile(r"(\d{1,2})(?:=[-\d+*/×÷()]+)?")
_YEAR = re.compile(r"(?<!\d)((?:19|20)\d\d)")
_FIGURE_TEXT = re.compile(r"[-+¥]?\d[\d,]*(?:\.\d+)?(?:[%‰]|[十百千万亿]*[元人户个亩吨家项座处所辆台头只名次])?$")


def runs_of_headings(grid: Grid, recogniser: Recogniser) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    row = 0
    seen: set[str] = set()  # headings as written, to look for repeats in long sheets without reading every cell
    long_sheet = len(grid.rows) > SMALL_SHEET
    while row < len(grid.rows):
        if long_sheet and runs and (plain_rows := _without_headings(grid.rows[row : row + STRETCH], seen)):
            row += plain_rows
            continue
        cells = grid.rows[row]
        if not _is_strong(cells, recogniser) and not _is_strong_with_groups(grid, row, recogniser) and not _is_strong_with_lower(grid, row, recogniser):
            row += 1
            continue
        lowest = runs[-1][1] + 1 if runs else 0
        reaching = [r1 for (r1, _), (r2, _) in grid.merged if r1 < row <= r2 and lowest <= r1 and row - r1 < HEADING_ROWS]
        top = min(reaching, default=row)  # a merged heading beside these begins further up
        while top > lowest and row - top < HEADING_ROWS - 1:
            if _is_upper(grid, top - 1, recogniser) and not (runs and _looks_like_data(grid, top - 1, row, seen, recogniser)):
                top -= 1
            elif top - 1 > lowest and row - top < HEADING_ROWS - 2 and _is_between(grid, top - 1, recogniser):
                top -= 2
            else:
                break
        bottom = row
        while bottom + 1 < len(grid.rows) and bottom - top < HEADING_ROWS:
            if _is_lower(grid, top, bottom + 1, recogniser):
                bottom += 1
            elif bottom - top < HEADING_ROWS - 2 and _is_lower_after_gap(grid, top, bottom + 1, recogniser):
                bottom += 2
            else:
                break
        merged_to = max((r2 for (r1, _), (r2, _) in grid.merged if top <= r1 <= bottom < r2 <= top + HEADING_ROWS), default=bottom)
        if not any(_has_figures(r) for r in grid.rows[bottom + 1 : merged_to + 1]):
            bottom = merged_to
        below = next((r for r in range(bottom + 1, min(bottom + 3, len(grid.rows))) if filled(grid.rows[r])), None)
        if below is not None and _is_column_numbers(grid.rows[below]):
            bottom = below
        runs.append((top, bottom))
        if len(runs) > MAX_RUNS:
            raise Refusal("表头重复的次数多得反常，没有读取，请只保留一个表头后报送。")
        seen |= {c for r in grid.rows[top : bottom + 1] for c in r if isinstance(c, str) and c.strip()}
        row = bottom + 1
    return runs


def _without_headings(rows: list[list[Any]], seen: set[str]) -> int:
    """How many of these rows, from the first on, hold none of the headings seen before and begin with no title."""
    if seen.isdisjoint(itertools.chain.from_iterable(rows)) and "表" not in "".join(r[0] for r in rows if type(r[0]) is str):
        return len(rows)
    return next((n for n, r in enumerate(rows) if not seen.isdisjoint(r) or (isinstance(r[0], str) and "表" in r[0])), len(rows))


def _hits(row: list[Any], recogniser: Recogniser) -> int:
    return len({squeeze(c) for c in row if recogniser.is_heading(c)})


def _is_strong(row: list[Any], recogniser: Recogniser) -> bool:
    """Two headings or more, and no figures."""
    texts = [c for c in row if isinstance(c, str) and c.strip()]
    years = [c for c in row if _is_year(c)]
    if len(texts) + len(years) < 2 or not texts or _has_figures(row, but=len(years)) or recogniser.is_label_row(row):
        return False
    if years:  # 2018 | 2019 as numbers beside headings
        return _hits(row, recogniser) + sum(recogniser.is_heading(str(int(y))) for y in years) >= 2
    hits = _hits(row, recogniser)
    return hits >= 2 and hits * 3 >= len(texts)


def _is_strong_with_groups(grid: Grid, row: int, recogniser: Recogniser) -> bool:
    """学校数 | 教师数 below 小学 and 中学, where only both together are headings."""
    if not row or (not is_empty(grid.cell(row, 0)) and grid.cell(row - 1, 0)):
        return False  # the ordinary row: it has a key
    groups_row = grid.rows[row - 1]
    columns, groups = filled(grid.rows[row]), filled(groups_row)
    if len(groups) < 2 or not groups[0] < min(columns, default=0) or _has_figures(groups_row, but=sum(map(_is_year, groups_row))) or recogniser.is_label_row(groups_row):
        return False
    return _completes(grid, row - 1, row, recogniser)


def _is_strong_with_lower(grid: Grid, row: int, recogniser: Recogniser) -> bool:
    """销售渠道 | 主要指标 and, below the group, 惠及贫困人口: a heading in each row, where a form has few columns or lacks some."""
    cells = grid.rows[row]
    if _has_figures(cells) or row + 1 == len(grid.rows):  # most rows of data
        return False
    columns = filled(cells)
    if len(columns) < 2 or not recogniser.is_heading(cells[columns[0]]) or recogniser.is_label_row(cells) or any(_is_figure_text(plain(cells[c])) for c in columns):
        return False
    below = grid.rows[row + 1]
    lower = filled(below)
    return bool(lower) and lower[0] > columns[0] and not _has_figures(below) and all(recogniser.is_heading(below[c]) for c in lower)


def _has_figures(row: list[Any], but: int = 0) -> bool:
    """Whether a row has numbers, dates or the like, more than so many."""
    return sum(not isinstance(c, str) and c is not None for c in row) > but


def _is_year(cell: Any) -> bool:
    return type(cell) in (int, float) and 1900 <= cell <= 2100 and cell == int(cell)


def _is_figure_text(text: str) -> bool:
    """A number kept as text, in any width, with or without its unit; a year may stand in a heading."""
    key = squeeze(text)
    return _FIGURE_TEXT.match(key) is not None and not _YEAR.fullmatch(key)


def _looks_like_data(grid: Grid, row: int, strong: int, seen: set[str], recogniser: Recogniser) -> bool:
    """A row right above headings that come again may be the last one of the rows before them."""
    cells = grid.rows[row]
    if _hits(cells, recogniser) or any(c in seen for c in cells if isinstance(c, str) and c.strip()):
        return False
    if any(r1 == row and c2 > c1 for (r1, c1), (_, c2) in grid.merged):
        return False
    return len(filled(cells)) * 2 > len(filled(grid.rows[strong]))


def _years_above(grid: Grid, row: int) -> int:
    """How many cells of a row are years as numbers that stand above several columns."""
    return sum(_is_year(grid.cell(r1, c1)) for (r1, c1), (_, c2) in grid.merged if r1 == row and c2 > c1)


def _is_upper(grid: Grid, row: int, recogniser: Recogniser) -> bool:
    cells = grid.rows[row]
    texts = [c for c in cells if isinstance(c, str) and c.strip()]
    if not texts or _has_figures(cells, but=_years_above(grid, row)) or recogniser.is_label_row(cells) or any(recogniser.title_in(t) or _is_figure_text(t) for t in texts):
        return False
    if any(recogniser.is_signature(t) or recogniser.is_note(t) for t in texts) or any(re.search(r"\d{3}", t) and not recogniser.is_heading(t) for t in texts):
        return False
    if _hits(cells, recogniser) >= 1:
        return True
    if len(texts) == 1:
        return _is_lone_group(grid, row, recogniser)
    return not any(w in squeeze(t) for t in texts for w in recogniser.writing["total_words"])


def _is_lone_group(grid: Grid, row: int, recogniser: Recogniser) -> bool:
    """资金情况（万元） above some of the headings, nothing beside it: a title would stand above all of them, from the first on."""
    columns, headings = filled(grid.rows[row]), filled(grid.rows[row + 1])
    if len(columns) != 1:  # years beside it
        return False
    column, text = columns[0], plain(grid.rows[row][columns[0]])
    if "单位" in squeeze(text) or squeeze(text).strip("()[]【】〔〕") in recogniser.units or not headings:
        return False  # （单位：万元） is said of the whole table
    last = next((c2 for (r1, c1), (_, c2) in grid.merged if (r1, c1) == (row, column)), column)
    below = [c for c in headings if column <= c <= last]
    if last > column:
        return 2 <= len(below) < len(headings) and all(recogniser.is_heading(grid.rows[row + 1][c]) for c in below)
    return headings[0] < column <= headings[-1] and recogniser.unit_in(text) is not None and recogniser.is_heading(grid.rows[row + 1][column])


def _is_between(grid: Grid, row: int, recogniser: Recogniser) -> bool:
    """The row holds names of groups only, and the row above it headings that stand further left."""
    cells, above = grid.rows[row], filled(grid.rows[row - 1])
    columns = filled(cells)
    if not columns or not above or columns[0] <= above[0] or _has_figures(cells) or recogniser.is_label_row(cells):
        return False
    return _hits(grid.rows[row - 1], recogniser) >= 1 and _is_upper(grid, row - 1, recogniser)


def _is_lower(grid: Grid, top: int, row: int, recogniser: Recogniser) -> bool:
    """The row carries on the headings above it: a merged heading reaches into it, or it leaves the first column free."""
    cells = grid.rows[row] if row < len(grid.rows) else []
    columns = filled(cells)
    years = sum(map(_is_year, cells))
    if not columns or _has_figures(cells, but=years):
        return False
    if years:  # 2018 | 2019 as numbers below their group
        return (columns[0] > min(filled(grid.rows[top]), default=0) or is_foreign(plain(cells[columns[0]]))) and _completes(grid, top, row, recogniser)
    if any(top <= r1 < row <= r2 for (r1, _), (r2, _) in grid.merged):
        return True
    hits = sum(recogniser.is_heading(cells[c]) for c in columns)
    below_group = columns[0] > min(filled(grid.rows[top]), default=0)
    if hits and (hits >= 2 or below_group) and hits * 2 >= len(columns):
        return True
    if below_group and row - top < HEADING_ROWS - 1 and _is_lower(grid, top, row + 1, recogniser):
        return True
    if below_group and _completes(grid, top, row, recogniser):
        return True
    if _is_foreign_line(grid, top, row, recogniser):
        return True
    # units below their headings
    return all(squeeze(plain(cells[c])).strip("()") in recogniser.units for c in columns)


def _is_lower_after_gap(grid: Grid, top: int, row: int, recogniser: Recogniser) -> bool:
    """An empty row, and headings of some columns below it: their group's heading was merged over two rows."""
    if row + 1 >= len(grid.rows) or filled(grid.rows[row]):
        return False
    below, above = filled(grid.rows[row + 1]), filled(grid.rows[top])
    under_a_group = bool(above and below) and above[0] < below[0] <= above[-1]
    return under_a_group and all(recogniser.is_heading(grid.rows[row + 1][c]) for c in below) and _is_lower(grid, top, row + 1, recogniser)


def _is_foreign_line(grid: Grid, top: int, row: int, recogniser: Recogniser) -> bool:
    """Region | Grain | Oil below 地区 | 粮食 | 油料: the names once more, with figures or further headings below them."""
    cells = grid.rows[row]
    columns = filled(cells)
    foreign = [c for c in columns if is_foreign(plain(cells[c])) and not recogniser.is_heading(cells[c])]
    if len(foreign) < 2 or row - top >= HEADING_ROWS:
        return False
    below = next((r for r in range(row + 1, min(row + 4, len(grid.rows))) if filled(grid.rows[r])), None)
    if below is None:
        return False
    figures = {c for c in filled(grid.rows[below]) if not isinstance(grid.rows[below][c], str) or _is_figure_text(grid.rows[below][c])}
    if figures:  # no row of data without figures where the next one has them
        return foreign == columns and figures <= set(foreign)
    return _is_lower(grid, top, below, recogniser)


def _completes(grid: Grid, top: int, row: int, recogniser: Recogniser) -> bool:
    """户数 | 人数 below 搬迁, without merged cells: with the group to the left above them they are headings."""
    cells, groups = grid.rows[row], grid.rows[row - 1]
    columns = filled(cells)
    if row - 1 < top or not 2 <= len(columns) <= MAX_STRIPPED or any(not (isinstance(cells[c], str) or _is_year(cells[c])) or len(plain(cells[c])) > 20 or _is_figure_text(plain(cells[c])) for c in columns):
        return False
    named = 0
    for c in columns:
        left = next((g for g in range(min(c, len(groups) - 1), -1, -1) if (isinstance(groups[g], str) and groups[g].strip()) or _is_year(groups[g])), None)
        if left is not None:
            group, own = as_heading(groups[left]), as_heading(cells[c])
            named += any(map(recogniser.is_heading, (f"{group}{own}", f"{own}{group}", f"{group}{squeeze(plain(cells[c]))}")))
    return named >= 2 and named * 2 >= len(columns)


def _is_column_numbers(row: list[Any]) -> bool:
    """甲 | 1 | 2 | 3=1+2: numbers of the columns, below the headings; tables side by side may begin again."""
    texts = [squeeze(plain(row[c])).strip("()") for c in filled(row)]
    found = [_COLUMN_NUMBER.fullmatch(t) for t in texts if t not in _COLUMN_LETTERS]
    numbers = [int(m.group(1)) for m in found if m]
    named = len(found) < len(texts)
    if len(numbers) < len(found) or len(numbers) < (2 if named else 3):
        return False
    return all(b == a + 1 or (b == 1 and a > 1) for a, b in itertools.pairwise(numbers))


def levels_of(grid: Grid, top: int, bottom: int) -> dict[int, list[str]]:
    """Headings of each column from the top down; a heading that spans columns stands above each of them."""
    height = bottom - top + 1
    width = max((len(r) for r in grid.rows[top : bottom + 1]), default=0)
    own = [[plain(grid.cell(top + h, c)) for c in range(width)] for h in range(height)]
    if _is_column_numbers(grid.rows[bottom]):
        own[-1] = [""] * width
    spans = [((r1, c1), (r2, c2)) for (r1, c1), (r2, c2) in grid.merged if top <= r1 <= bottom]
    full = [row[:] for row in own]
    for (r1, c1), (_r2, c2) in spans:
        for c in range(c1 + 1, min(c2 + 1, width)):
            full[r1 - top][c] = full[r1 - top][c] or own[r1 - top][c1]
    if not any(c2 > c1 for (_, c1), (_, c2) in spans):  # no merges kept (.csv): a group's heading reaches to the next
        for h in range(height - 1):
            group = ""
            for c in range(width):
                below = any(own[k][c] for k in range(h + 1, height))
                if own[h][c]:
                    group = own[h][c] if below else ""
                elif below and group and not any(own[k][c] for k in range(h)):
                    full[h][c] = group
    levels: dict[int, list[str]] = {}
    for c in range(width):
        texts = [full[h][c] for h in range(height) if full[h][c]]
        if texts and any(own[h][c] for h in range(height)):
            levels[c] = [t for i, t in enumerate(texts) if not i or t != texts[i - 1]]
    return levels
