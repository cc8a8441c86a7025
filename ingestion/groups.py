"""Tables of one form that carry the same rows, joined: a table and its 续表 to the right or below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ingestion.contract_model import Form
from ingestion.grid import plain, squeeze
from ingestion.table_rows import Column, Table


@dataclass(slots=True)
class Group:
    """Rows that share their tables: one table, or several that carry other columns of the same rows."""

    tables: list[Table]
    rows: Sequence[tuple[int, ...]]  # for each data row its 0-based sheet row in each table
    fields: dict[str, tuple[int, Column]] = field(default_factory=dict)  # field → (number of the table, column)


class OfOneTable(Sequence):
    """The rows of a group of a single table, without a tuple kept for each of a million rows."""

    def __init__(self, rows: list[int]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[int]:
        return (self._rows[index],)

    def __iter__(self) -> Iterator[tuple[int]]:
        return zip(self._rows)


def groups_of(tables: list[Table], form: Form) -> list[Group]:
    """Tables joined: one with other columns of the same rows is put beside them, one with further rows stands for itself."""
    groups: list[Group] = []
    for table in tables:
        fields = table.fields
        for group in groups:
            shared = (fields.keys() & group.fields.keys()) - {form.key.name}
            if fields.keys() <= group.fields.keys() or any(form.by_name[n].numeric for n in shared) or form.key.name not in fields:
                continue
            order = _same_rows(group, table, form)
            if order is not None:
                number = len(group.tables)
                group.tables.append(table)
                group.rows = [(*r, o) for r, o in zip(group.rows, order, strict=True)]
                group.fields |= {n: (number, c) for n, c in fields.items() if n not in group.fields}
                break
        else:
            groups.append(Group([table], OfOneTable(table.rows), {n: (0, c) for n, c in fields.items()}))
    return groups


def _same_rows(group: Group, table: Table, form: Form) -> list[int] | None:
    """The table's sheet row for each row of the group, if both list the same keys; None if they don't."""
    if len(group.rows) != len(table.rows) or form.key.name not in group.fields:
        return None
    number, column = group.fields[form.key.name]
    grid, other = group.tables[number].grid, table.column_of(form.key.name)
    ours = [squeeze(plain(grid.cell(r[number], column.col))) for r in group.rows]
    theirs = [squeeze(plain(table.grid.cell(r, other.col))) for r in table.rows]
    if sorted(ours) == sorted(theirs) and len(set(ours)) == len(ours):
        place = dict(zip(theirs, table.rows, strict=True))
        return [place[k] for k in ours]
    # a key that differs is told afterwards, see Assembly._keys_of_parts
    return table.rows if sum(a == b for a, b in zip(ours, theirs, strict=True)) * 2 > len(ours) or not ours else None
