"""What goes along with a row's values: its texts as written, the reason for a change, and columns that no form knows."""

from __future__ import annotations

from ingestion.convert import Converted, Converter
from ingestion.grid import a1, plain, squeeze
from ingestion.groups import Group
from ingestion.model import FormReading

Made = dict[tuple[int, str, str], dict[str, str]]
MOST_SHARED = 10_000


def keep_texts(reading: FormReading, converted: dict[str, Converted], count: int) -> None:
    texts: list[dict[str, str] | None] = [None] * count
    for name, result in converted.items():
        made: Made = {}
        for i, text in result.texts.items():
            texts[i] = _with(texts[i], name, text, made)
    reading.source_text += texts


def keep_reasons_and_extras(reading: FormReading, group: Group, reason_headings: set[str], converter: Converter) -> None:
    count = len(group.rows)
    reasons: list[str | None] = [None] * count
    extras: list[dict[str, str] | None] = [None] * count
    for number, table in enumerate(group.tables):
        rows = table.grid.rows
        for column in table.columns:
            heading, made = squeeze(column.heading), {}
            if column.field is not None or heading == "序号":
                continue
            for i, r in enumerate(group.rows):
                cell = rows[r[number]][column.col]
                if converter.is_blank(cell):
                    continue
                if heading in reason_headings:
                    reasons[i] = plain(cell)
                else:
                    kept = extras[i] or {}
                    heading_kept = column.heading if column.heading not in kept else f"{column.heading}（第{a1(1, column.col)[:-1]}列）"
                    extras[i] = _with(extras[i], heading_kept, plain(cell), made)
    reading.change_reason += reasons
    reading.extra += extras


def _with(before: dict[str, str] | None, name: str, text: str, made: Made) -> dict[str, str]:
    """A row's texts with one more. Rows that say the same share a dictionary: a million of their own take more than all cells.

    ``made``: what was given in this column; all of ``before`` must be older than it.
    """
    found = made.get((id(before), name, text))
    if found is None:
        found = {**before, name: text} if before else {name: text}
        if len(made) < MOST_SHARED:
            made[id(before), name, text] = found
    return found
