"""House styles: how a county lays out a form and writes its cells, every trait drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Style:
    """One house style; every trait is drawn from the seed."""

    rng: random.Random
    kind: str = "xlsx"  # xlsx | xls | csv
    encoding: str = "utf-8"
    delimiter: str = ","
    continued: str = ""  # '' | down | right | columns
    total: str = ""  # '' | first | last | middle
    levels: int = 1
    money: str = "万元"
    unit_in: str = "line"  # line | heading | both (heading beats a line that says otherwise) | cell
    left: int = 0  # empty columns before the table
    above: int = 0  # empty rows before the title
    block: str = "joined"  # joined | split | stacked
    date: str = "text"
    shuffled: bool = False
    serial: bool = False
    extras: tuple[str, ...] = ()
    aliases: bool = False
    spaced: bool = False
    numbers: str = "plain"  # plain | text | separators | full_width | formula | mixed
    percent: str = "signed"  # signed | heading | fraction_heading
    blank: str = ""
    notes: bool = True
    tail: int = 0  # empty formatted rows below
    column_numbers: bool = False  # a row 甲 1 2 3 below the headings
    words: dict[str, str] = field(default_factory=dict)  # field → alias in use


EXTRAS = ("备注", "上周已支出资金", "较上周增减", "排名", "去年同期数", "联系人", "责任单位", "同比增长（%）")


def any_style(rng: random.Random) -> Style:
    kind = rng.choice(["xlsx", "xlsx", "xlsx", "xls", "csv"])
    return Style(
        rng, kind,
        encoding=rng.choice(["utf-8", "utf-8-sig", "gb18030"]),
        delimiter=rng.choice([",", ",", ";", "\t"]),
        continued=rng.choice(["", "", "", "down", "right", "columns", "columns_right"]),
        total=rng.choice(["", "first", "last", "middle"]),
        levels=rng.choice([1, 1, 2, 3]),
        money=rng.choice(["元", "千元", "万元", "万元", "亿元"]),
        unit_in=rng.choice(["line", "heading", "both", "cell"]),
        left=rng.choice([0, 0, 1, 3]),
        above=rng.choice([0, 0, 1, 4]),
        block=rng.choice(["joined", "split", "stacked", "one_cell"]),
        date=rng.choice(["text", "iso", "dots", "packed", "cell", "serial", "title", "week"]),
        shuffled=rng.random() < 0.4,
        serial=rng.random() < 0.3,
        extras=tuple(rng.sample(EXTRAS, rng.choice([0, 0, 1, 2]))),
        aliases=rng.random() < 0.4,
        spaced=rng.random() < 0.4,
        numbers=rng.choice(["plain", "text", "separators", "full_width", "formula", "mixed"]),
        percent=rng.choice(["signed", "heading", "mixed"]),
        blank=rng.choice(["", "—", "/", "／", "无", "——", " ", "\u3000", "－"]),
        notes=rng.random() < 0.7,
        tail=rng.choice([0, 0, 3, 40]),
        column_numbers=rng.random() < 0.15,
    )  # fmt: skip
