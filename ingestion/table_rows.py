"""The rows below a run of headings: data, totals, subtotals, notes and signatures told apart."""

from __future__ import annotations

import bisect
import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Any

from ingestion.contract_files import NOT_ADDITIVE
from ingestion.contract_model import Field, Form
from ingestion.grid import Grid, filled, is_empty, is_figure, plain, squeeze
from ingestion.headings import STRETCH
from ingestion.recognise import Recogniser, as_heading

_REMARK = re.compile(r"^[*#]|^(?:\d{1,2}|[A-Za-z])[)、.．]|[:,。;，；：]|^.{16,}")
_SENTENCE = re.compile(r"^[①-⑳*＊※]|[。；;]")  # no name of a place or of a code list
_YEAR_LINE = re.compile(r"(?:19|20)\d\d年?度?")
_PAGE_MARK = re.compile(r"^第\d+页|共\d+页|[转续接][上下]页|^-\d{1,3}-$")
_DAY = re.compile(r"(?:\d{4})?年\d{0,2}月\d{0,2}日|\d{4}[./-]\d{1,2}[./-]\d{1,2}")
_CONTACT = re.compile("电话|手机|传真|邮编")
_GROUP_LABEL = re.compile(r"^(?:[一二三四五六七八九十]+[、.．]|[（(][一二三四五六七八九十]+[)）][、.．]?|第[一二三四五六七八九十]+[部类])")
_NUMBERED = re.compile(r"^\(?\d{1,2}[)、.．]")


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
    unit_lines: list[int] = field(default_factory=list)  # rows below the headings that speak of units, 0-based
    year_lines: list[int] = field(default_factory=list)  # … that speak of a year
    doubles: dict[str, list[Column]] = field(default_factory=dict)  # field → columns that name it equally well

    def column_of(self, name: str) -> Column | None:
        return next((c for c in self.columns if c.field is not None and c.field.name == name), None)

    @property
    def fields(self) -> dict[str, Column]:
        return {c.field.name: c for c in self.columns if c.field is not None}


def sort_rows(table: Table, form: Form, recogniser: Recogniser, end: int) -> list[str]:
    """Sort the rows below the headings into data rows and totals. Gives the notes and signatures as text."""
    grid, tail = table.grid, []
    key = next((c.col for c in table.columns if c.field is form.key), None)
    first, last = min(c.col for c in table.columns), max(c.col for c in table.columns)
    mapped = {c.col for c in table.columns if c.field is not None}
    lead = key if key is not None else min(mapped, default=first)
    measured = {c.col for c in table.columns if c.field is not None and c.field.numeric} - {lead}
    totals = tuple(squeeze(w) for w in recogniser.writing["total_words"])
    subtotals = tuple(squeeze(w) for w in recogniser.writing["subtotal_words"])
    special_first = {w[0] for name in ("note_words", "signature_words", "reason_heading", "total_words", "subtotal_words", "attachment_words", "continuation_words") for w in recogniser.writing[name] if w}
    special_first |= set("（(一二三四五六七八九十第 \u3000\t\n")
    special_last = set("计表账)）:： \u3000\n")
    groups = {squeeze(label) for f in form.fields for labels in f.values.values() for label in labels}
    if form.key.codes == "identifier":
        special_last |= {g[-1] for g in groups if g}
    whole = _words_of_the_whole(table, form, recogniser) - groups
    if whole:
        special_first |= {"全"}
    group: str | None = None
    ended = names_follow = False
    rows, add = grid.rows, table.rows.append
    sorted_to = looked_to = table.bottom + 1
    for index in range(table.bottom + 1, end):
        if index < sorted_to:
            continue
        if not ended and index >= looked_to and end - index > STRETCH:
            looked_to = index + STRETCH
            if _all_ordinary(rows[index:looked_to], first, lead, special_first, special_last):
                sorted_to = looked_to
                table.rows.extend(range(index, sorted_to))
                continue
        cells = rows[index]
        value = cells[lead] if lead < len(cells) else ""
        # the ordinary row: a key that looks like no label, and more than one or two cells filled
        if not ended and (
            (type(value) is str and value and len(value) <= 24 and value[0] not in special_first and value[-1] not in special_last)
            or (type(value) is not str and value is not None)
        ) and cells.count("") + 2 < len(cells) and (lead == first or not _begins_with(cells[first:lead], special_first)):
            add(index)
            continue
        within = [c for c in filled(cells) if first <= c <= last]
        if not within:
            if outside := [plain(cells[c]) for c in filled(cells)]:
                tail.extend(outside)
            continue
        texts = [plain(cells[c]) for c in within]
        start = texts[0]
        signed, names_follow = names_follow, False
        if signed and sum(is_figure(cells[c]) for c in measured.intersection(within)) < 2:  # a telephone number at most
            tail.extend(texts)
            continue
        record = not is_empty(value) and _is_record(cells, mapped.intersection(within), measured, len(mapped))
        if not record and any(recogniser.is_signature(t) for t in texts[:2]):
            tail.extend(plain(cells[c]) for c in filled(cells))
            ended, names_follow = True, recogniser.are_signature_labels(texts)
            continue
        if not record and (recogniser.is_note(start) or recogniser.is_foot(texts)):
            tail.extend(texts)
            ended = True
            continue
        label = _total_label(cells, within, lead, totals + subtotals)
        if label is None and whole and isinstance(value, str) and as_heading(value) in whole:
            table.totals.append(Total(index, plain(value), None, len(table.rows), grand=True))
            continue
        if label is not None:
            bare = squeeze(label)
            named = re.sub("|".join(map(re.escape, totals + subtotals)), "", bare).strip(":、()")
            grand = any(w in bare for w in totals) and named not in groups
            table.totals.append(Total(index, label, None if grand else named or group, len(table.rows), grand))
            continue
        if form.key.codes == "identifier" and within[0] == lead and (named := _group_line(start, groups)):
            group = named
            if len(within) > 1:  # 一、广东省财政 with the figures of the group
                table.totals.append(Total(index, start, group, len(table.rows), grand=False))
                continue
        if len(within) <= 2 and not ended and any(map(recogniser.is_unit_line, texts)):
            table.unit_lines.append(index)  # below the last row it says nothing of any, see Assembly
            continue
        if len(within) == 1 and _is_lone_text(cells[within[0]], within[0] == key, form, recogniser):
            tail.append(start)
            group = _GROUP_LABEL.sub("", squeeze(start)).strip(":") if not ended else group
            continue
        if ended and len(within) <= 2 and not (within[0] == lead and any(is_figure(cells[c]) for c in measured.intersection(within)) and not _CONTACT.search(start)):
            tail.extend(texts)
            continue
        if not mapped.intersection(within):
            continue
        add(index)
    tail += _notes_behind(table, lead, mapped, form)
    _totals_in_further_keys(table, form, lead, frozenset(totals + subtotals))
    _lines_between(table, lead, mapped, recogniser)
    return tail


def _is_record(cells: list[Any], own: set[int], measured: set[int], columns: int) -> bool:
    """A row of figures, or one that fills most columns: 负责人履职不到位 in a free text before its key is no signature."""
    return sum(is_figure(cells[c]) for c in own & measured) >= 2 or (len(own) >= 6 and len(own) * 3 >= columns * 2)


def _begins_with(cells: list[Any], special_first: set[str]) -> bool:
    """单位负责人： where the serial numbers stand, and the name below the keys."""
    return any(type(c) is str and c and c[0] in special_first for c in cells)


def _lines_between(table: Table, lead: int, mapped: set[int], recogniser: Recogniser) -> None:
    """2019年 or 构成（%） alone on a line, above rows that are named otherwise: no row, but what those below it are. Taken off the rows."""
    rows = table.grid.rows
    if len(table.rows) >= STRETCH:
        return
    for says, found in ((_says_year, table.year_lines), (lambda t: "=100" in t or recogniser.unit_system.in_text(t) is not None, table.unit_lines)):
        saying = [r for r in table.rows if says(squeeze(plain(rows[r][lead])))]
        if not saying or any(mapped.intersection(filled(rows[r])) != {lead} for r in saying):
            continue
        found += saying
        table.rows = [r for r in table.rows if r not in saying]
        for total in table.totals:
            total.after = bisect.bisect(table.rows, total.row)


def _words_of_the_whole(table: Table, form: Form, recogniser: Recogniser) -> frozenset[str]:
    """全国, 全省: totals, where a column adds up and every total is held against its rows. Over averages and rates it is a row like others."""
    checked = any(r.definition.get("printed") for r in form.rules_of("total"))
    adds_up = any(c.field is not None and c.field.adds_up for c in table.columns)
    return frozenset(map(squeeze, recogniser.writing["whole_words"])) if checked and adds_up else frozenset()


def _says_year(text: str) -> bool:
    return _YEAR_LINE.fullmatch(text) is not None


def _totals_in_further_keys(table: Table, form: Form, lead: int, words: frozenset[str]) -> None:
    """甲县 | 小计 | 3: a total whose word stands in another column than the first of the key. Taken off the rows."""
    names = form.identity or [f.name for f in form.fields if f.type in ("text", "code")]
    columns = [
        c.col for c in table.columns
        if c.field is not None and c.field.name in names and c.field is not form.key and words.isdisjoint(squeeze(w) for labels in c.field.values.values() for w in labels)
    ]  # fmt: skip
    rows, last = table.grid.rows, frozenset(w[-1] for w in words)
    found = {}
    for col in columns:
        for r in table.rows:
            cell = rows[r][col]
            if type(cell) is str and cell and cell.strip()[-1:] in last and squeeze(cell).strip(":") in words:
                found[r] = plain(cell)
    if not found:
        return
    table.rows = [r for r in table.rows if r not in found]
    table.totals += [Total(r, label, plain(table.grid.cell(r, lead)) or None, 0, grand=False) for r, label in found.items()]
    table.totals.sort(key=lambda t: t.row)
    for total in table.totals:
        total.after = bisect.bisect(table.rows, total.row)


def _all_ordinary(rows: list[list[Any]], first: int, lead: int, special_first: set[str], special_last: set[str]) -> bool:
    """Whether all of these rows are ordinary: a key as text that looks like no label, and more than one or two cells filled."""
    if min(map(len, rows)) <= lead:
        return False
    keys = [r[lead] for r in rows]
    if set(map(type, keys)) != {str} or not all(keys) or max(map(len, keys)) > 24:
        return False
    if lead > first and any(_begins_with(r[first:lead], special_first) for r in rows):
        return False
    if not special_first.isdisjoint(k[0] for k in keys) or not special_last.isdisjoint(k[-1] for k in keys):
        return False
    return max(r.count("") for r in rows) + 2 < min(map(len, rows))


def _notes_behind(table: Table, lead: int, mapped: set[int], form: Form) -> list[str]:
    """Remarks below the last row that no word marks as such (①含高新区): a text alone where a name could stand. Taken off the rows."""
    rows, notes = table.grid.rows, []
    listed = form.key.codes not in (None, "identifier")
    if not any(len(mapped.intersection(filled(rows[r]))) > 1 for r in table.rows[:50]):
        return notes
    while table.rows:
        cells = rows[table.rows[-1]]
        only = filled(cells)
        cell = cells[only[0]] if len(only) == 1 else None
        remark = only == [lead] and isinstance(cell, str) and (_SENTENCE.search(cell.strip()) if listed else _REMARK.search(squeeze(cell)))
        if not remark and not _is_day(cell):
            break
        if table.totals and table.totals[-1].row > table.rows[-1]:
            break
        notes.append(plain(cell))
        table.rows.pop()
    return notes[::-1]


def _is_day(cell: Any) -> bool:
    """The day of signing, alone in its row."""
    return isinstance(cell, dt.date) or (isinstance(cell, str) and _DAY.fullmatch(squeeze(cell)) is not None)


def _group_line(text: str, groups: set[str]) -> str | None:
    """The group that 一、广东省财政 or (1)广东省财政 names where a number belongs; None for a number."""
    key = squeeze(text)
    if (named := _NUMBERED.sub("", _GROUP_LABEL.sub("", key)).strip(":")) in groups:
        return named
    return named if _GROUP_LABEL.match(key) and not any(ch.isascii() and ch.isalnum() for ch in text) else None


def _total_label(cells: list[Any], within: list[int], lead: int, words: tuple[str, ...]) -> str | None:
    """The label of a 合计 or 小计 row: in the key's column, or before it where the key is blank."""
    for c in within:
        if c > lead and not is_empty(cells[lead] if lead < len(cells) else ""):
            return None
        if isinstance(cells[c], str):
            text = re.sub(r"\([^()]*\)$", "", as_heading(cells[c])).strip(":")
            if NOT_ADDITIVE.search(text):  # 合计生育率
                return None
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
    if is_title(cell, recogniser) or _GROUP_LABEL.match(key) or len(key) > 30 or key.endswith(":"):
        return True
    return form.key.codes == "identifier" and not any(ch.isascii() and ch.isalnum() for ch in key)


def is_title(text: str, recogniser: Recogniser) -> bool:
    key = squeeze(text)
    words = (*recogniser.writing["continuation_words"], *recogniser.writing["attachment_words"])
    return recogniser.title_in(text) is not None or any(w in key for w in words) or key.endswith(("报表", "台账", "明细表", "进展表"))
