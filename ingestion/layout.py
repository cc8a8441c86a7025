"""Where things stand on a sheet: title blocks, the headings below them, and the rows below these.

A sheet may hold several forms one below the other, and one form in several tables (续表) below or beside each other.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

from ingestion.contract_model import Field, Form
from ingestion.grid import Grid, filled, is_empty, plain, squeeze
from ingestion.headings import MAX_STRIPPED, SMALL_SHEET, levels_of, runs_of_headings
from ingestion.recognise import FormHeadings, Recogniser, TitleBlock
from ingestion.table_rows import Column, Table, is_title, sort_rows
from ingestion.units import RATES

TITLE_ROWS = 8  # at most so many rows above a table belong to its title block
_YEAR = re.compile(r"(?<!\d)((?:19|20)\d\d)")


@dataclass(slots=True)
class Segment:
    """What one title block stands above: one form (None: unknown) with its tables."""

    grid: Grid
    form: Form | None
    block: TitleBlock
    tables: list[Table] = field(default_factory=list)
    reason: str | None = None  # of a note 变化原因：…
    titled: bool = False  # the title itself names the form
    years: set[frozenset[str]] = field(default_factory=set)  # that the titles of its tables speak of


def segments_of(grid: Grid, recogniser: Recogniser) -> list[Segment]:
    """Every form on a sheet, in order."""
    runs = runs_of_headings(grid, recogniser)
    segments: list[Segment] = []
    above = 0
    for number, (top, bottom) in enumerate(runs):
        title_from = _title_from(grid, recogniser, above, top)
        block = recogniser.read_block(grid.rows[title_from:top])
        end = _title_from(grid, recogniser, bottom + 1, runs[number + 1][0]) if number + 1 < len(runs) else len(grid.rows)
        levels = levels_of(grid, top, bottom)
        titled = recogniser.title_in(block.title) or (None if segments else recogniser.title_in(grid.name))
        form = _form_of(recogniser, levels, titled, segments[-1].form if segments else None)
        continues = bool(segments) and form is segments[-1].form and not block.county and is_empty(block.date)
        segment = segments[-1] if continues else Segment(grid, form, block, titled=titled is not None)
        if not continues:
            segments.append(segment)
        if named := frozenset(y for t in recogniser.titles_of(block) for y in _YEAR.findall(t)):
            segment.years.add(named)
        if form is not None:
            if block.unit and not segment.block.unit:
                segment.block.unit = block.unit
            spans = any(c2 > c1 for (r1, c1), (_, c2) in grid.merged if top <= r1 <= bottom)
            for columns in _split(_columns(recogniser, form, levels, segment.block, spans), form, recogniser):
                table = Table(grid, top, bottom, columns, unit=block.unit)
                tail = sort_rows(table, form, recogniser, end)
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
    strips: list[Grid] = []
    forms: list[frozenset[str]] = []
    begin = 0
    for first, after in zip(starts, [*starts[1:], width], strict=True):
        strip, found = _strip(grid, first, after, recogniser)
        if not found and strips:  # 单位 further right than the table reaches, a column of remarks
            strips[-1], forms[-1] = _strip(grid, begin, after, recogniser)
            continue
        begin = first
        strips.append(strip)
        forms.append(found)
    if len(strips) < 2 or not all(forms) or len(set(forms)) < len(forms):
        return [grid]
    return strips


def _strip(grid: Grid, first: int, after: int, recogniser: Recogniser) -> tuple[Grid, frozenset[str]]:
    """Some columns of a sheet, at their addresses, and the forms in them."""
    rows = [[cell if first <= c < after else "" for c, cell in enumerate(row)] for row in grid.rows]
    merged = [m for m in grid.merged if first <= m[0][1] < after]
    strip = Grid(grid.member, grid.name, rows, merged, percent=grid.percent, unresolved=grid.unresolved)
    return strip, frozenset(s.form.code for s in segments_of(strip, recogniser) if s.form)


# Headings


# Forms and their columns


def _form_of(recogniser: Recogniser, levels: dict[int, list[str]], titled: str | None, current: Form | None) -> Form | None:
    """The form that title and headings speak for; None if nothing fits."""
    scores: dict[str, int] = {}
    by_code: dict[str, Form] = {}  # the version whose headings these are; the week decides later which one counts
    for form in sorted(recogniser.contracts.forms, key=lambda f: (f is current, f.valid_from), reverse=True):
        headings = recogniser.headings(form)
        score = len({f.name for f in headings.fields(levels).values() if f})
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


def _columns(recogniser: Recogniser, form: Form, levels: dict[int, list[str]], block: TitleBlock, spans: bool) -> list[Column]:
    """``spans``: merged cells say how far a group's heading reaches; else its unit ends before a figure that cannot be in it."""
    headings = recogniser.headings(form)
    columns = []
    years = set(_YEAR.findall(f"{block.title} {plain(block.date)}"))
    years = years or set(sorted(y for texts in levels.values() for t in texts[:-1] for y in _YEAR.findall(t))[-1:])
    fields = headings.fields(levels)
    for col, texts in levels.items():
        unit = next((u for u in map(recogniser.unit_in, reversed(texts)) if u), None)
        found = fields[col]
        if found and (set(_YEAR.findall(" ".join(texts[:-1]))) - years - set(_YEAR.findall(" ".join((found.zh, *found.aliases))))):
            found = None  # 2019年 above a heading: not this year's figure
        if found and unit and not spans and recogniser.unit_in(texts[-1]) is None and _cannot_be_in(found, unit, recogniser):
            unit, texts = None, [t for t in texts if recogniser.unit_in(t) is None]
        columns.append(Column(col, " ".join(re.sub(r"\s+", "", texts[-1]).split()), texts, unit, found))
    return columns


def _cannot_be_in(field: Field, unit: str, recogniser: Recogniser) -> bool:
    """Persons under a group of 万元, money under one of %: the contract gives them a unit that it does not become."""
    if not field.unit or field.type == "percent" or field.unit in RATES:
        return False
    if unit in RATES:
        return True
    own, stated = recogniser.unit_system.of(field), recogniser.unit_system.parse(unit)
    return not field.money and own is not None and not (stated and stated.word in own[1])


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
    """How many columns right before a key that comes again are those that stood before the first one (序号, 县名, other figures)."""
    first = next((i for i, c in enumerate(columns[begin:], begin) if c.field is columns[key].field), key)
    before = 0
    while begin <= first - 1 - before and first < key - 1 - before:
        again, there = columns[key - 1 - before], columns[first - 1 - before]
        if not (squeeze(again.heading) == squeeze(there.heading) and again.field is there.field) and not (again.field is None and squeeze(again.heading) == "序号"):
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
            if not recogniser.is_label_row(cells) and not (lone and is_title(texts[0], recogniser)):
                break
        row -= 1
    return row
