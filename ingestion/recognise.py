"""What a table is: its form by title and headings, its county and week by the title block. Contracts hold every word."""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterable
from typing import Any

from ingestion.contract_model import Contracts, Field, Form
from ingestion.grid import is_empty, plain, squeeze
from ingestion.units import OTHER_BRACKETS, POWERS, RATES, Units
from ingestion.weeks import TitleBlock

PERCENT = "%"
_BRACKET = re.compile(r"\((?:单位:)?([^()]{0,12})\)$")
_BEHIND = re.compile(r"\(([^()]*)\)$")
_MONEY_BEHIND = re.compile(r"(?<![十百千万美港欧日])(亿元|万元|千元|元)$")
_WHICH = re.compile(r"^(?:其中[:,、]?|#)")
_FAR_APART = re.compile(r"(?<![年月至到~—-])[ \u3000\t]{2,}(?![年月日至到~—-])")  # but not within 2020年  6月  14日
_COUNTY_LIKE = re.compile(r"[\u4e00-\u9fff]{2,}[县区市]$")
_BARE_YEAR = re.compile(r"(?:19|20)\d\d")
_FOREIGN = re.compile(r"(?<=[\u4e00-\u9fff)])[A-Za-z]{3}[A-Za-z()&.,'/-]*$")  # 总人口 Total Population
_IN_FOREIGN = re.compile(r"(?=.*[a-z]{2})[A-Za-z(][A-Za-z()&.,'/#%-]{2,}")  # Population, on a line of its own
_OF_ALL = frozenset(("合计", "小计", "总计", "总数", "合计数", "计", "本年", "绝对数", "绝对值"))
_COUNTED = {"人数": "persons", "户数": "households", "金额": "yuan"}
_GENERAL_PARENT = re.compile("(?:情况|规模|进展|指标|数)$")


def _any_of(words: list[str]) -> str:
    """A pattern for any of some words, longer ones first."""
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


def _spaced(words: list[str]) -> str:
    """The same, with spaces anywhere in them: 单　位."""
    return "|".join(r"\s*".join(map(re.escape, w)) for w in sorted(words, key=len, reverse=True))


# Headings


def _said_of_a_figure(words: list[str]) -> re.Pattern[str]:
    """本周, 本周数, （本周数） as a heading, in front of one or behind it."""
    word = f"(?:{_any_of(words)})(?:数据?|末|情况|完成)?"
    return re.compile(rf"\(?{word}\)?|^{word}|\({word}\)$|{word}$")


def _without(levels: list[str], said: re.Pattern[str]) -> list[str] | None:
    """The headings of a column without what they say of the period; None if they say nothing of it."""
    keys = list(map(squeeze, levels))
    if len(keys) > 1 and any(map(said.fullmatch, keys[1:])):
        return [t for n, t in enumerate(levels) if not n or not said.fullmatch(keys[n])]
    rest = said.sub("", keys[-1], count=1)
    return [*levels[:-1], rest] if rest and rest != keys[-1] else None


def is_foreign(text: str) -> bool:
    """Nothing but a foreign name, as it stands below the Chinese one. With figures in it (1000 tons) it says more than a name."""
    return _IN_FOREIGN.fullmatch(squeeze(text)) is not None


def as_heading(cell: Any) -> str:
    """What a cell says as a heading: a year in full, the Chinese name without the foreign one behind it."""
    key = squeeze(plain(cell))
    return f"{key}年" if _BARE_YEAR.fullmatch(key) else _FOREIGN.sub("", key)


class FormHeadings:
    """The headings of one form: text → field. Weaker readings (without unit, without 其中) yield to stronger ones."""

    def __init__(self, form: Form, units: frozenset[str], writing: dict[str, Any]):
        self.form = form
        self._units = units
        self._other_periods = tuple(writing["other_period_words"])
        self._beside = (*self._other_periods, *writing["change_words"])
        self._this_period, self._running_total = map(_said_of_a_figure, (writing["this_period_words"], writing["running_total_words"]))
        self._levels: tuple[dict[str, Field], ...] = ({}, {}, {})
        for level, reading in enumerate((lambda t: t, self.bare, lambda t: _WHICH.sub("", self.bare(t)))):
            taken: dict[str, set[str]] = {}
            for f in form.fields:
                texts = [squeeze(t) for t in (f.zh, *f.aliases)]
                for text in (*texts, *(f"{t}年" for t in texts if _BARE_YEAR.fullmatch(t))):
                    key = reading(text)
                    taken.setdefault(key, set()).add(f.name)
                    self._levels[level].setdefault(key, f)
            if level:
                for key, names in taken.items():
                    if len(names) > 1:
                        del self._levels[level][key]

    def bare(self, text: str) -> str:
        """A squeezed heading without the unit behind it."""
        text = _FOREIGN.sub("", text.translate(OTHER_BRACKETS).rstrip("*"))
        while (found := _BRACKET.search(text)) and (found.group(1) in self._units or not found.group(1)):
            text = text[: found.start()]
        return text[:-1] if text.endswith(tuple(RATES)) and len(text) > 1 else text

    def find(self, text: str) -> Field | None:
        key = squeeze(text)
        if not key:
            return None
        bare = self.bare(key)
        exact, without_unit, without_which = self._levels
        found = exact.get(key) or without_unit.get(bare) or without_which.get(_WHICH.sub("", bare))
        if found is None and _BARE_YEAR.fullmatch(key):
            return self.find(key + "年")
        if found is None and (behind := _MONEY_BEHIND.search(key)) and behind.start():  # 到位资金万元, 到位资金/万元
            found = exact.get(key[: behind.start()].rstrip(",、/:-"))
            return found if found and found.money else None
        return found

    def match(self, levels: list[str]) -> Field | None:
        """The field of a column whose headings, from the top down, are these."""
        levels = [t for t in levels if not is_foreign(t) or self.find(t)] or levels
        if not levels:
            return None
        found = self._match(levels)
        if found is None and (spoken := [f"{t}年" if _BARE_YEAR.fullmatch(squeeze(t)) else t for t in levels]) != levels:
            found = self._match(spoken)
        if found is None or not any(w in squeeze(t) for t in levels[:-1] for w in self._other_periods):
            return found
        above = "".join(map(squeeze, levels[:-1]))
        named = (found.zh, *found.aliases)
        return found if all(any(w in n for n in named) for w in self._other_periods if w in above) else None

    def fields(self, columns: dict[int, list[str]]) -> dict[int, Field | None]:
        """The field of each column of a table: also this week's figure where last week's stands beside it, and a running total said to be one."""
        found = {col: self.match(levels) for col, levels in columns.items()}
        named = {f.name for col, f in found.items() if f and self.rank(columns[col], f) < 2}
        bases = {c: base for c, levels in columns.items() if found[c] is None and (base := _without(levels, self._this_period))}
        this_weeks = {c: f for c, base in bases.items() if (f := self.match(base))}
        for col, levels in columns.items():
            if found[col] is None and (base := _without(levels, self._running_total)):
                f = self.match(base)
                found[col] = f if f and f.kind == "cumulative" and f.name not in named else None
        said = {**found, **this_weeks}
        for col, f in this_weeks.items():
            others = {c: levels for c, levels in columns.items() if c != col and said[c] in (None, f)}
            if f.kind == "flow" or self._is_level(bases[col], others.values()):
                found[col] = f
        return found

    def _is_level(self, base: list[str], others: Iterable[list[str]]) -> bool:
        """本周 beside last week's figure is the figure itself; beside a total of the same it is the week's increment."""
        name = next((b for t in reversed(base) if (b := self.bare(squeeze(t))) and b not in self._units), "")
        beside = [text for levels in others if name in (text := "".join(map(squeeze, levels)))]
        return any(w in t for t in beside for w in self._other_periods) and all(any(w in t for w in self._beside) for t in beside)

    def rank(self, levels: list[str], f: Field) -> int:
        """How well headings name a field: 0 by its official name, 1 by an alias, 2 in a weaker reading."""
        texts = {squeeze("".join(levels[start:])) for start in range(len(levels))}
        if squeeze(f.zh) in texts:
            return 0
        return 1 if texts & {squeeze(a) for a in f.aliases} else 2

    def _match(self, levels: list[str]) -> Field | None:
        leaf, above = levels[-1], levels[:-1]
        for start in range(len(above)):  # 2019年 above 外出务工人数 is not 外出务工人数
            if found := self._levels[0].get(squeeze("".join(levels[start:]))) or self._levels[1].get("".join(self.bare(squeeze(t)) for t in levels[start:])):
                return found
        found = self.find(leaf)
        if found or not above:
            return found
        bare = [self.bare(squeeze(t)) for t in levels]
        if bare[-1] in self._units or not bare[-1]:  # the lowest level says nothing but the unit
            return self._match(above)
        for start in range(len(levels) - 1):
            if found := self.find("".join(bare[start:])):
                return found
        counted = _COUNTED.get(bare[-1])  # 人数 below 农村低保对象, which counts persons
        if counted and (found := self._match(above)) and found.unit == counted:
            return found
        if bare[-1] in _OF_ALL:  # 合计 below 外出务工人数, beside its parts, is 外出务工人数
            return self._match(above)
        parent = _GENERAL_PARENT.sub("", bare[-2])
        return self.find(parent + bare[-1]) or self.find(parent + "其中" + bare[-1]) or self.find(bare[-1] + bare[-2])

    @functools.cached_property
    def words(self) -> frozenset[str]:
        return frozenset(k for level in self._levels for k in level)


class Recogniser:
    """Recognition with one set of contracts."""

    def __init__(self, contracts: Contracts):
        self.contracts = contracts
        self.writing = contracts.writing
        self.money = dict(self.writing["money_units"])
        self.unit_system = Units(self.writing, (f.unit for form in contracts.forms for f in form.fields if f.numeric and f.unit and not f.money))
        units = {*self.unit_system.words, *self.unit_system.scaled_words, *self.money, *RATES}
        for form in contracts.forms:
            for f in form.fields:
                if f.unit and any(c >= "\u4e00" for c in f.unit):
                    units.add(squeeze(f.unit))
                if f.name.endswith("unit"):
                    units |= {label for labels in f.values.values() for label in labels}
        self.units = frozenset(units)
        self._headings = {id(f): FormHeadings(f, self.units, self.writing) for f in contracts.forms}
        self.titles = sorted(((squeeze(t), f.code) for f in contracts.forms for t in (*f.titles, f.zh)), key=lambda t: -len(t[0]))
        self.known_words = frozenset().union(*(h.words for h in self._headings.values()))
        self._period = _said_of_a_figure([*self.writing["this_period_words"], *self.writing["running_total_words"]])
        self._labels = {
            kind: re.compile(f"^(?:{_any_of(self.writing[kind + '_labels'])})(?:\\([^)]*\\))?(?::|$)")
            for kind in ("county", "date", "unit")
        }
        every = [w for kind in ("county_labels", "county_labels_before_a_colon", "date_labels", "unit_labels", "filled_on_words", "period_labels") for w in self.writing[kind]]
        loose = f"(?<![\u4e00-\u9fff])(?:{_spaced(self.writing['loose_date_labels'])})"  # 日期： but not 制表日期：
        self._any_label = re.compile(f"(?:{_spaced(every)}|{loose})(?:[(（][^)）]*[)）])?\\s*[:：]")
        self._notes = tuple(squeeze(w) for w in self.writing["note_words"])
        self._signatures = tuple(squeeze(w) for w in self.writing["signature_words"])
        self._stamps = tuple(squeeze(w) for w in self.writing["stamps"])
        self._unit_only = re.compile(f"\\(?({_any_of(self.writing['unit_labels'])})\\(?([^():]+)\\)?")
        self._office = re.compile(f"(?:{_any_of(self.writing['county_offices'])})$")

    def headings(self, form: Form) -> FormHeadings:
        return self._headings[id(form)]

    def is_heading(self, cell: Any) -> bool:
        """The cell holds a heading of some form."""
        if not isinstance(cell, str) or not cell or len(cell) > 60:
            return False
        return self._is_heading(cell)

    @functools.lru_cache(maxsize=50_000)  # noqa: B019 - one recogniser a process
    def _is_heading(self, text: str) -> bool:
        key = squeeze(text)
        bare = next(iter(self._headings.values())).bare(key)
        if _BARE_YEAR.fullmatch(key) and f"{key}年" in self.known_words:
            return True
        if key in self.known_words or bare in self.known_words or _WHICH.sub("", bare) in self.known_words:
            return True
        rest = self._period.sub("", bare, count=1)
        return rest != bare and rest in self.known_words

    def title_in(self, text: str) -> str | None:
        """Code of the form whose title a text holds; the longest title goes first."""
        key = squeeze(text)
        return next((code for title, code in self.titles if title in key), None)

    def titles_of(self, block: TitleBlock) -> list[str]:
        """The texts of a title block that name a form."""
        return [t for t in block.texts if self.title_in(t)]

    def unit_in(self, text: str) -> str | None:
        """The money unit, % or ‰ that a heading names in brackets or at its end."""
        key = squeeze(text).translate(OTHER_BRACKETS)
        for inner in re.findall(r"\(([^()]*)\)", key):
            for token in re.split("[,、;/:]", inner):
                if token in self.money or token in RATES:
                    return token
        if key.endswith(tuple(RATES)):
            return key[-1]
        behind = _MONEY_BEHIND.search(key)
        return behind.group(1) if behind and behind.group(1) in self.money else None

    def unit_of_line(self, text: str) -> str | None:
        """The money unit of a 单位 line that may name several units (单位：人、万元); None if it names none or two."""
        tokens = re.split(r"[、,;:/()和及]+", squeeze(text).replace("人民币", ""))
        if not any(t in self.money for t in tokens):
            tokens = [squeeze(t) for t in text.split()]
        found = {t for t in tokens if t in self.money}
        return found.pop() if len(found) == 1 else None

    # The title block

    def is_label_row(self, row: list[Any]) -> bool:
        for cell in row:
            if isinstance(cell, str) and cell:
                key = squeeze(cell)
                if self._labels["county"].match(key) or self._labels["date"].match(key) or self._unit_without_colon(key) or (self._labels["unit"].match(key) and ":" in key):
                    return True
        return self._is_unit_row(row)

    def _is_unit_row(self, row: list[Any]) -> bool:
        """单位 and its unit in two cells, without a colon, and nothing else."""
        cells = [c for c in row if not is_empty(c)]
        if len(cells) != 2 or not all(isinstance(c, str) for c in cells):
            return False
        return self._labels["unit"].fullmatch(squeeze(cells[0])) is not None and self.unit_of_line(cells[1]) is not None

    def is_signature(self, text: str) -> bool:
        key = squeeze(text)
        return key.startswith(self._signatures) or (key.endswith(self._stamps) and not self._labels["county"].match(key))

    def are_signature_labels(self, texts: list[str]) -> bool:
        """单位负责人 | 审核人 | 填报人 without names: these stand in the next row."""
        return len(texts) > 1 and all(squeeze(t).rstrip(":") in self._signatures for t in texts)

    def is_foot(self, texts: list[str]) -> bool:
        """填报单位（盖章）：甲县扶贫办 below the rows, or 注 in a cell of its own before its text."""
        key = squeeze(texts[0])
        if ":" in key and any(self._labels[kind].match(key) for kind in ("county", "date")):
            return True
        return len(texts) > 1 and f"{key}:" in self._notes

    def is_note(self, text: str) -> bool:
        key = squeeze(text)
        return key.startswith(self._notes) or self.reason_in(text) is not None

    def reason_in(self, text: str) -> str | None:
        """The reason that a note gives: 变化原因：…, also behind 注： or a number."""
        words = "|".join(map(re.escape, self.writing["reason_heading"]))
        found = re.match(rf"\s*(?:(?:备?注|说明)\s*[:：])?\s*(?:\d+\s*[.、．])?\s*(?:{words})\s*[:：]\s*(.+)", text, re.DOTALL)
        return found.group(1).strip() if found else None

    def read_block(self, rows: list[list[Any]]) -> TitleBlock:
        """Title, 填报单位, 截至日期 and 单位 from the rows above a table (and 填报日期 from those below)."""
        block = TitleBlock()
        for row in rows:
            items = [item for cell in row if not is_empty(cell) for item in self._items(cell)]
            for position, item in enumerate(items):
                if isinstance(item, dt.date) and not (position and self._is_label(items[position - 1])):
                    block.texts.append(plain(item))  # the day alone, as good as its text
                if not isinstance(item, str):
                    continue
                labelled = False
                for label, value in self._pairs(item):
                    labelled |= bool(label)
                    following = value or (items[position + 1] if position + 1 < len(items) else "")
                    if isinstance(following, str) and self._pairs(following)[0][0]:
                        following = ""
                    self._note_pair(block, label, following)
                    if not label and value != item:
                        block.texts.append(value)
                if labelled or self.is_note(item):
                    continue
                if self.unit_system.is_line(item):  # （万吨） alone is a 单位 line as well
                    block.unit = block.unit or item.strip()
                else:
                    block.texts.append(item.strip())
        for title in self.titles_of(block):  # 主要农产品产量（万吨）
            if not block.unit and (behind := _BEHIND.search(squeeze(title))) and self.unit_system.is_line(behind.group(1)):
                block.unit = behind.group(1)
        return block

    def _is_label(self, item: Any) -> bool:
        """What a day in the next cell belongs to: 填报日期, with or without a colon."""
        key = squeeze(item).rstrip(":") if isinstance(item, str) else ""
        return key.endswith(("日期", "时间", "时点", "期")) or any(p.fullmatch(key) for p in self._labels.values()) or squeeze(str(item)).endswith(":")

    def is_unit_line(self, text: str) -> bool:
        """单位：亩, （万吨）: said of a table, and no row of it; but 单位：甲县统计局 is a signature."""
        key = squeeze(text)
        if (label := self._labels["unit"].match(key)) and key[label.end() :]:
            said = key[label.end() :]
            return self.unit_system.is_line(said) or said.startswith(tuple(POWERS)) or said.endswith(tuple(self.unit_system.words))
        return key.startswith("(") and key.endswith(")") and self.unit_system.is_line(key)

    def _items(self, cell: Any) -> list[Any]:
        """A cell of a title block; what stands far apart in one with labels is as good as in several cells."""
        if not isinstance(cell, str) or not self._any_label.search(cell):
            return [cell]
        cell = self._any_label.sub(lambda m: re.sub(r"\s+", "", m.group(0)), cell)
        return [part for part in _FAR_APART.split(cell) if part.strip()]

    def _pairs(self, text: str) -> list[tuple[str, str]]:
        """(label, value) pairs in a cell: 填报单位：甲县　截至日期：…; ('', text) where there is no label."""
        found = list(self._any_label.finditer(text))
        if not found:
            key = squeeze(text)
            if unit := self._unit_without_colon(key):
                return [unit]
            bare = any(p.fullmatch(key) for p in self._labels.values())
            return [(key, "")] if bare else [("", text)]
        ends = [m.start() for m in found[1:]] + [len(text)]
        before = text[: found[0].start()].strip(" \u3000\t\n;；,，(（")
        pairs = [(squeeze(m.group(0)), text[m.end() : end].strip(" \u3000\t\n;；,，")) for m, end in zip(found, ends, strict=True)]
        return [*([("", before)] if before else []), *pairs]

    def _unit_without_colon(self, key: str) -> tuple[str, str] | None:
        """单位（万元）, 金额单位 万元, squeezed."""
        found = self._unit_only.fullmatch(key)
        return (found.group(1), found.group(2)) if found and self.unit_of_line(found.group(2)) else None

    def _note_pair(self, block: TitleBlock, label: str, value: Any) -> None:
        if not label:
            return
        whole = label.rstrip(":")
        name = re.sub(r"\([^)]*\)", "", whole)
        county = {squeeze(w) for kind in ("county_labels", "county_labels_before_a_colon") for w in self.writing[kind]}
        if whole in county or name in county:
            block.county = block.county or plain(value)
        elif name in self.writing["date_labels"]:
            block.date = value if block.date in (None, "") else block.date
        elif name in self.writing["period_labels"]:
            said = plain(value)
            block.period = block.period or (f"第{said}周" if said.isdigit() and len(said) <= 2 else said)
        elif name in self.writing["loose_date_labels"]:
            block.texts.append(plain(value))
        elif name in self.writing["unit_labels"]:
            if not block.county and _COUNTY_LIKE.search(self.office_of(plain(value))):  # 单位：甲县扶贫办
                block.county = plain(value)
            else:
                block.unit = block.unit or plain(value)
        elif name in self.writing["filled_on_words"]:
            block.filled_on = block.filled_on or plain(value)

    def office_of(self, text: str) -> str:
        """填报单位 without what stands behind the county's name (…扶贫开发办公室)."""
        return self._office.sub("", squeeze(re.sub(r"[(（]\s*(?:盖章|公章|章)\s*[)）]", "", text)))
