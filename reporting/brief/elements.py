"""What a report is made of, before it is a document or a page."""

from __future__ import annotations

from dataclasses import dataclass, field

from reporting.addresses import Address

MARK = "※"  # behind a figure that carries something forward or lacks somebody


@dataclass(frozen=True)
class Run:
    """A piece of text; ``ref`` is the number of the source of the figure it is."""

    text: str
    ref: int | None = None
    marked: bool = False
    bold: bool = False
    missing: bool = False


@dataclass(frozen=True)
class Heading:
    """``level`` 1: 一、 2: （一） 3: 1."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """``kind``: body | note | fill (a place that people fill in) | item."""

    runs: tuple[Run, ...]
    kind: str = "body"

    @property
    def text(self) -> str:
        return "".join(r.text for r in self.runs)


@dataclass(frozen=True)
class Table:
    title: str
    header: tuple[Run, ...]
    rows: tuple[tuple[Run, ...], ...]
    notes: tuple[str, ...] = ()
    wide: tuple[int, ...] = ()  # columns of running text, set left


Element = Heading | Paragraph | Table


@dataclass(frozen=True)
class Source:
    """One entry of the list of sources."""

    number: int
    label: str
    value: str
    address: Address


@dataclass
class Report:
    """A whole report. ``figures``: what a later report compares with."""

    headline: str  # the title; / where it may be broken into two lines
    subtitle: str
    about: str  # which publication, which week
    elements: list[Element]
    signature: tuple[str, str]
    sources: list[Source] = field(default_factory=list)
    comparison: list[Element] = field(default_factory=list)
    to_write: list[str] = field(default_factory=list)  # files that people have not written yet

    @property
    def title(self) -> str:
        return self.headline.replace("/", "")
