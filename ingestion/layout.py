"""Where things stand on a sheet: title blocks, runs of headings, the rows below them, totals, notes, signatures.

A sheet may hold several forms one below the other, and one form in several tables (续表) below or beside each other.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import Any

from ingestion.containers import Refusal
from ingestion.contracts import Field, Form
from ingestion.grid import Grid, filled, is_empty, plain, squeeze
from ingestion.recognise import FormHeadings, Recogniser, TitleBlock

TITLE_ROWS = 8  # at most so many rows above a table belong to its title block
HEADING_ROWS = 4
MAX_RUNS = 2_000  # headings repeated on every page of the longest list stay well below
MAX_STRIPPED = 120  # columns; wider sheets are not looked at for forms beside each other
STRETCH = 1_000  # rows of a long sheet that are looked at together
SMALL_SHEET = 3_000  # rows; in larger ones headings further down must be written like the first ones
_COLUMN_LETTERS = frozenset(("甲", "乙", "丙", "丁", "A", "B", "C", "栏次", "列次", "栏目", "序号"))
_COLUMN_NUMBER = re.compile(r"(\d{1,2})(?:=[-\d+*/×÷()]+)?")
_YEAR = re.compile(r"(?<!\d)((?:19|20)\d\d)")
_REMARK = re.compile(r"^[*#]|^\d{1,2}[)、.．]|[:,。;，；：]|^.{16,}")
_PAGE_MARK = re.compile(r"^第\d+页|共\d+页|[转续接][上下]页|^-\d{1,3}-$")
_FIGURE_TEXT = re.compile(r"[-+¥]?\d[\d,]*(?:\.\d+)?(?:[%‰]|[十百千万亿]*[元人户个亩吨家项座处所辆台头只名次])?$")
_GROUP_LABEL = re.compile(r"^(?:[（(]?[一二三四五六七八九十]+[)）]?[、.．]|第[一二三四五六七八九十]+[部类])")


@dataclass(slots=True)
class Column:
    col: int
    heading: str
    levels: list[str]
    unit: str | None  # money unit or % that the heading names
    field: Field | None


@dataclass(slots=True)
class Total:
    row: int  # 0-based
    label: str
    group: str | None
    after: int  # data rows of the table before it
    grand: bool


@dataclass(slots=True)
class Table:
    """One run of headings and the data rows below it."""

    grid: Grid
    top: int  # first and last heading row, 0-based
    bottom: int
    columns: list[Column]
    rows: list[int] = field(default_factory=list)  # data rows, 0-based
    totals: list[Total] = field(default_factory=list)
    unit: str = ""  # its own 单位 line, where it has one
    doubles: dict[str, list[Column]] = field(default_factory=dict)  # field → columns that name it equally well

    def column_of(self, name: str) -> Column | None:
        return next((c for c in self.columns if c.field is not None and c.field.name == name), None)

    @property
    def fields(self) -> dict[str, Column]:
        return {c.field.name: c for c in self.columns if c.field is not None}


@dataclass(slots=True)
class Segment:
    """What one title block stands above: one form (None: unknown) with its tables."""

    grid: Grid
    form: Form | None
    block: TitleBlock
    tables: list[Table] = field(default_factory=list)
    reason: str | None = None  # of a note 变化原因：…
    titled: bool = False  # the title itself names the form


def segments_of(grid: Grid, recogniser: Recogniser) -> list[Segment]:
    """Every form on a sheet, in order."""
    runs = _runs_of_headings(grid, recogniser)
    segments: list[Segment] = []
    above = 0
    for number, (top, bottom) in enumerate(runs):
        title_from = _title_from(grid, recogniser, above, top)
        block = recogniser.read_block(grid.rows[title_from:top])
        end = _title_from(grid, recogniser, bottom + 1, runs[number + 1][0]) if number + 1 < len(runs) else len(grid.rows)
        levels = _levels(grid, top, bottom)
        titled = recogniser.title_in(block.title) or (None if segments else recogniser.title_in(grid.name))
        form = _form_of(recogniser, levels, titled, segments[-1].form if segments else None)
        continues = bool(segments) and form is segments[-1].form and not block.county and is_empty(block.date)
        segment = segments[-1] if continues else Segment(grid, form, block, titled=titled is not None)
        if not continues:
            segments.append(segment)
        if form is not None:
            if block.unit and not segment.block.unit:
                segment.block.unit = block.unit
            for columns in _split(_columns(recogniser, form, levels, segment.block), form, recogniser):
                table = Table(grid, top, bottom, columns, unit=block.unit)
                tail = _rows_of(table, form, recogniser, end)
                settle_doubles(table, recogniser.headings(form))
                segment.tables.append(table)
                segment.reason = segment.reason or next((r for r in map(recogniser.reason_in, tail) if r), None)
                if not segment.block.filled_on:
                    segment.block.filled_on = recogniser.read_block([[t] for t in tail]).filled_on
        above = bottom + 1
    return segments


def side_by_side(grid: Grid, recogniser: Recogniser) -> list[Grid]:
    """The sheet in upright strips, where empty columns part different forms; cells keep their addresses.

    Strips of one form (newspaper columns, 续表 to the right) stay together.
    """
    width = max(map(len, grid.rows), default=0)
    if len(grid.rows) > SMALL_SHEET or width > MAX_STRIPPED:
        return [grid]
    used = {c for row in grid.rows for c in filled(row)}
    starts = [c for c in sorted(used) if c - 1 not in used]
    if len(starts) < 2:
        return [grid]
    strips, forms = [], []
    for first, after in zip(starts, [*starts[1:], width], strict=True):
        rows = [[cell if first <= c < after else "" for c, cell in enumerate(row)] for row in grid.rows]
        merged = [m for m in grid.merged if first <= m[0][1] < after]
        strips.append(Grid(grid.member, grid.name, rows, merged, percent=grid.percent, unresolved=grid.unresolved))
        found = [s.form.code for s in segments_of(strips[-1], recogniser) if s.form]
        forms.append(frozenset(found))
    if not all(forms) or len(set(forms)) < len(forms):
        return [grid]
    return strips


# Headings


def _runs_of_headings(grid: Grid, recogniser: Recogniser) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    row = 0
    seen: set[str] = set()  # headings as written, to look for repeats in long sheets without reading every cell
    long_sheet = len(grid.rows) > SMALL_SHEET
    while row < len(grid.rows):
        if long_sheet and runs and (plain_rows := _without_headings(grid.rows[row : row + STRETCH], seen)):
            row += plain_rows
            continue
        cells = grid.rows[row]
        if not _is_strong(cells, recogniser) and not _is_strong_with_groups(grid, row, recogniser):
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
        while bottom + 1 < len(grid.rows) and bottom - top < HEADING_ROWS and _is_lower(grid, top, bottom + 1, recogniser):
            bottom += 1
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
        return _hits(row, recogniser) + sum(recogniser.is_heading(f"{int(y)}年") for y in years) >= 2
    hits = _hits(row, recogniser)
    return hits >= 2 and hits * 3 >= len(texts)


def _is_strong_with_groups(grid: Grid, row: int, recogniser: Recogniser) -> bool:
    """学校数 | 教师数 below 小学 and 中学, where only both together are headings."""
    if not row or (not is_empty(grid.cell(row, 0)) and grid.cell(row - 1, 0)):
        return False  # the ordinary row: it has a key
    columns, groups = filled(grid.rows[row]), filled(grid.rows[row - 1])
    if len(groups) < 2 or not groups[0] < min(columns, default=0) or _has_figures(grid.rows[row - 1]) or recogniser.is_label_row(grid.rows[row - 1]):
        return False
    return _completes(grid, row - 1, row, recogniser)


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


def _is_upper(grid: Grid, row: int, recogniser: Recogniser) -> bool:
    cells = grid.rows[row]
    texts = [c for c in cells if isinstance(c, str) and c.strip()]
    if not texts or _has_figures(cells) or recogniser.is_label_row(cells) or any(recogniser.title_in(t) or _is_figure_text(t) for t in texts):
        return False
    if any(recogniser.is_signature(t) or recogniser.is_note(t) for t in texts) or any(re.search(r"\d{3}", t) and not recogniser.is_heading(t) for t in texts):
        return False
    return _hits(cells, recogniser) >= 1 or (len(texts) >= 2 and not any(w in squeeze(t) for t in texts for w in recogniser.writing["total_words"]))


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
    if not columns or _has_figures(cells):
        return False
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
    # units below their headings
    return all(squeeze(plain(cells[c])).strip("()") in recogniser.units for c in columns)


def _completes(grid: Grid, top: int, row: int, recogniser: Recogniser) -> bool:
    """户数 | 人数 below 搬迁, without merged cells: with the group to the left above them they are headings."""
    cells, groups = grid.rows[row], grid.rows[row - 1]
    columns = filled(cells)
    if row - 1 < top or not 2 <= len(columns) <= MAX_STRIPPED or any(not isinstance(cells[c], str) or len(cells[c]) > 20 or _is_figure_text(cells[c]) for c in columns):
        return False
    named = 0
    for c in columns:
        left = next((g for g in range(min(c, len(groups) - 1), -1, -1) if isinstance(groups[g], str) and groups[g].strip()), None)
        named += left is not None and (recogniser.is_heading(f"{groups[left]}{cells[c]}") or recogniser.is_heading(f"{cells[c]}{groups[left]}"))
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


def _levels(grid: Grid, top: int, bottom: int) -> dict[int, list[str]]:
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


def _form_of(recogniser: Recogniser, levels: dict[int, list[str]], titled: str | None, current: Form | None) -> Form | None:
    """The form that title and headings speak for; None if nothing fits."""
    scores: dict[str, int] = {}
    by_code: dict[str, Form] = {}  # the version whose headings these are; the week decides later which one counts
    for form in sorted(recogniser.contracts.forms, key=lambda f: (f is current, f.valid_from), reverse=True):
        headings = recogniser.headings(form)
        score = len({f.name for texts in levels.values() if (f := headings.match(texts))})
        if score > scores.get(form.code, -1):
            scores[form.code], by_code[form.code] = score, form
    best = max(scores.values(), default=0)
    if titled and (scores[titled] * 2 >= best or scores[titled] * 2 >= len(by_code[titled].fields)):
        return by_code[titled] if scores[titled] else None
    if current is not None and not titled and scores[current.code] * 3 >= best * 2:
        return current
    known_extras = {squeeze(w) for w in (*recogniser.writing["known_extra_columns"], *recogniser.writing["reason_heading"])}
    columns = len({squeeze("".join(texts)) for texts in levels.values() if squeeze(texts[-1]) not in known_extras})  # beside each other they come again
    fitting = [c for c, s in scores.items() if s == best]
    if best >= 2 and best * 2 >= columns:
        if len(fitting) > 1:  # the form that more of is there
            fitting = sorted(fitting, key=lambda c: len(by_code[c].fields))
            if len(by_code[fitting[0]].fields) == len(by_code[fitting[1]].fields):
                return None
        form = by_code[fitting[0]]
        return form if best * 2 >= sum(f.required for f in form.fields) else None
    return None


def _columns(recogniser: Recogniser, form: Form, levels: dict[int, list[str]], block: TitleBlock) -> list[Column]:
    headings = recogniser.headings(form)
    columns = []
    years = set(_YEAR.findall(f"{block.title} {plain(block.date)}"))
    years = years or set(sorted(y for texts in levels.values() for t in texts[:-1] for y in _YEAR.findall(t))[-1:])
    for col, texts in levels.items():
        unit = next((u for u in map(recogniser.unit_in, reversed(texts)) if u), None)
        found = headings.match(texts)
        if found and (set(_YEAR.findall(" ".join(texts[:-1]))) - years - set(_YEAR.findall(" ".join((found.zh, *found.aliases))))):
            found = None  # 2019年 above a heading: not this year's figure
        columns.append(Column(col, " ".join(re.sub(r"\s+", "", texts[-1]).split()), texts, unit, found))
    return columns


def _split(columns: list[Column], form: Form, recogniser: Recogniser) -> list[list[Column]]:
    """Tables side by side: a new one begins where the key's heading comes again (or a serial number right before it)."""
    headings = recogniser.headings(form)
    keys = [i for i, c in enumerate(columns) if c.field is form.key]
    if len({squeeze(columns[i].heading) for i in keys}) > 1:  # 序号 beside 班次编号 is a serial number and no key
        best = min(headings.rank(columns[i].levels, form.key) for i in keys)
        for i in keys:
            if headings.rank(columns[i].levels, form.key) > best and squeeze(columns[i].heading) in recogniser.writing["known_extra_columns"]:
                columns[i].field = None
        keys = [i for i in keys if columns[i].field is form.key]
    parts: list[list[Column]] = []
    begin = 0
    for before, start in itertools.pairwise(keys):
        if not any(c.field is not None for c in columns[before + 1 : start]):
            continue
        start -= _repeated_before(columns, begin, start)
        parts.append(columns[begin:start])
        begin = start
    parts.append(columns[begin:])
    return parts


def _repeated_before(columns: list[Column], begin: int, key: int) -> int:
    """How many columns right before a key that comes again are those that stood before the first one (序号, 县名)."""
    first = next((i for i, c in enumerate(columns[begin:], begin) if c.field is columns[key].field), key)
    before = 0
    while begin <= first - 1 - before and columns[key - 1 - before].field is None:
        if squeeze(columns[key - 1 - before].heading) not in ("序号", squeeze(columns[first - 1 - before].heading)):
            break
        before += 1
    return before


def settle_doubles(table: Table, headings: FormHeadings) -> None:
    """The same field twice in one table: the better name holds; of equals, none, unless they say the same in every row."""
    by_name: dict[str, list[Column]] = {}
    for column in table.columns:
        if column.field is not None:
            by_name.setdefault(column.field.name, []).append(column)
    for name, columns in by_name.items():
        if len(columns) == 1:
            continue
        field = columns[0].field
        ranks = [headings.rank(c.levels, field) for c in columns]
        best = [c for c, rank in zip(columns, ranks, strict=True) if rank == min(ranks)]
        for column in columns:
            column.field = None
        rows = [*table.rows, *(t.row for t in table.totals)]
        if len({tuple(plain(table.grid.cell(r, c.col)) for r in rows) for c in best}) == 1:
            best[0].field = field
        else:
            table.doubles[name] = best


# Rows


def _title_from(grid: Grid, recogniser: Recogniser, lowest: int, top: int) -> int:
    """First row of the title block above a run of headings."""
    row = top
    while row > lowest and (lowest == 0 or top - row < TITLE_ROWS):
        cells = grid.rows[row - 1]
        columns = filled(cells)
        if columns and lowest:
            texts = [plain(cells[c]) for c in columns]
            if recogniser.is_signature(texts[0]) or recogniser.is_note(texts[0]):
                break
            lone = len(columns) == 1 and isinstance(cells[columns[0]], str)
            if not recogniser.is_label_row(cells) and not (lone and _is_title(texts[0], recogniser)):
                break
        row -= 1
    return row


def _is_title(text: str, recogniser: Recogniser) -> bool:
    key = squeeze(text)
    words = (*recogniser.writing["continuation_words"], *recogniser.writing["attachment_words"])
    return recogniser.title_in(text) is not None or any(w in key for w in words) or key.endswith(("报表", "台账", "明细表", "进展表"))


def _rows_of(table: Table, form: Form, recogniser: Recogniser, end: int) -> list[str]:
    """Sort the rows below the headings into data rows and totals. Gives the notes and signatures as text."""
    grid, tail = table.grid, []
    key = next((c.col for c in table.columns if c.field is form.key), None)
    first, last = min(c.col for c in table.columns), max(c.col for c in table.columns)
    mapped = {c.col for c in table.columns if c.field is not None}
    lead = key if key is not None else min(mapped, default=first)
    totals = tuple(squeeze(w) for w in recogniser.writing["total_words"])
    subtotals = tuple(squeeze(w) for w in recogniser.writing["subtotal_words"])
    special_first = {w[0] for name in ("note_words", "signature_words", "reason_heading", "total_words", "subtotal_words", "attachment_words", "continuation_words") for w in recogniser.writing[name] if w}
    special_first |= set("（(一二三四五六七八九十第 \u3000\t\n")
    special_last = set("计表账)）:： \u3000\n")
    groups = {squeeze(label) for f in form.fields for labels in f.values.values() for label in labels}
    group: str | None = None
    ended = False
    rows, add = grid.rows, table.rows.append
    sorted_to = table.bottom + 1
    for index in range(table.bottom + 1, end):
        if index < sorted_to:
            continue
        if not ended and end - index > STRETCH and _all_ordinary(rows[index : index + STRETCH], lead, special_first, special_last):
            sorted_to = index + STRETCH
            table.rows.extend(range(index, sorted_to))
            continue
        cells = rows[index]
        value = cells[lead] if lead < len(cells) else ""
        # the ordinary row: a key that looks like no label, and more than one or two cells filled
        if not ended and (
            (type(value) is str and value and len(value) <= 24 and value[0] not in special_first and value[-1] not in special_last)
            or (type(value) is not str and value is not None)
        ) and cells.count("") + 2 < len(cells):
            add(index)
            continue
        within = [c for c in filled(cells) if first <= c <= last]
        if not within:
            if outside := [plain(cells[c]) for c in filled(cells)]:
                tail.extend(outside)
            continue
        texts = [plain(cells[c]) for c in within]
        start = texts[0]
        if any(recogniser.is_signature(t) for t in texts[:2]):
            tail.extend(plain(cells[c]) for c in filled(cells))
            ended = True
            continue
        if recogniser.is_note(start):
            tail.extend(texts)
            ended = True
            continue
        label = _total_label(cells, within, lead, totals + subtotals)
        if label is not None:
            bare = squeeze(label)
            named = re.sub("|".join(map(re.escape, totals + subtotals)), "", bare).strip(":、()")
            grand = any(w in bare for w in totals) and named not in groups
            table.totals.append(Total(index, label, None if grand else named or group, len(table.rows), grand))
            continue
        if form.key.codes == "identifier" and within[0] == lead and _is_group_line(start) and not any(ch.isascii() and ch.isalnum() for ch in start):
            group = _GROUP_LABEL.sub("", squeeze(start)).strip(":")
            if len(within) > 1:  # 一、广东省财政 with the figures of the group
                table.totals.append(Total(index, start, group, len(table.rows), grand=False))
                continue
        if len(within) == 1 and _is_lone_text(cells[within[0]], within[0] == key, form, recogniser):
            tail.append(start)
            group = _GROUP_LABEL.sub("", squeeze(start)).strip(":") if not ended else group
            continue
        if ended and len(within) <= 2:
            tail.extend(texts)
            continue
        if not mapped.intersection(within):
            continue
        add(index)
    tail += _notes_behind(table, lead, mapped, form)
    return tail


def _all_ordinary(rows: list[list[Any]], lead: int, special_first: set[str], special_last: set[str]) -> bool:
    """Whether all of these rows are ordinary: a key as text that looks like no label, and more than one or two cells filled."""
    if min(map(len, rows)) <= lead:
        return False
    keys = [r[lead] for r in rows]
    if set(map(type, keys)) != {str} or not all(keys) or max(map(len, keys)) > 24:
        return False
    if not special_first.isdisjoint(k[0] for k in keys) or not special_last.isdisjoint(k[-1] for k in keys):
        return False
    return max(r.count("") for r in rows) + 2 < min(map(len, rows))


def _notes_behind(table: Table, lead: int, mapped: set[int], form: Form) -> list[str]:
    """Remarks below the last row that no word marks as such (①含高新区): a text alone where a name could stand. Taken off the rows."""
    rows, notes = table.grid.rows, []
    if form.key.codes not in (None, "identifier") or not any(len(mapped.intersection(filled(rows[r]))) > 1 for r in table.rows[:50]):
        return notes
    while table.rows:
        cells = rows[table.rows[-1]]
        if filled(cells) != [lead] or not isinstance(cells[lead], str) or not _REMARK.search(squeeze(cells[lead])):
            break
        if cells[lead] and table.totals and table.totals[-1].row > table.rows[-1]:
            break
        notes.append(plain(cells[lead]))
        table.rows.pop()
    return notes[::-1]


def _is_group_line(text: str) -> bool:
    return _GROUP_LABEL.match(squeeze(text)) is not None


def _total_label(cells: list[Any], within: list[int], lead: int, words: tuple[str, ...]) -> str | None:
    """The label of a 合计 or 小计 row: in the key's column, or before it where the key is blank."""
    for c in within:
        if c > lead and not is_empty(cells[lead] if lead < len(cells) else ""):
            return None
        if isinstance(cells[c], str):
            text = re.sub(r"\([^()]*\)$", "", squeeze(cells[c])).strip(":")
            if text in words or (len(text) <= 14 and text.endswith(words)) or (len(text) <= 14 and text.startswith(words)):
                return plain(cells[c])
            if c >= lead:
                return None
    return None


def _is_lone_text(cell: Any, in_key: bool, form: Form, recogniser: Recogniser) -> bool:
    """A single text in a row that is a heading of a group, a title or a remark, and not a row with just its key."""
    if not isinstance(cell, str):
        return False
    if _PAGE_MARK.search(squeeze(cell)):
        return True
    if not in_key:
        return not any(ch.isdigit() for ch in cell) or len(cell) > 20
    key = squeeze(cell)
    if _is_title(cell, recogniser) or _GROUP_LABEL.match(key) or len(key) > 30 or key.endswith(":"):
        return True
    return form.key.codes == "identifier" and not any(ch.isascii() and ch.isalnum() for ch in key)
