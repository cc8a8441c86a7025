"""Units as tables write them: a power of ten and a unit's name (万亩, 千元, 人), and what follows for a column.

Figures are only ever converted by powers of ten within one unit. Where a table states a unit that the contract's
unit cannot be reached from (公顷 where the contract says 亩), or one where the contract names none, nobody can tell
what the figures are, and the form is returned with a sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ingestion.contract_model import Field, Form
from ingestion.grid import squeeze

POWERS = {
    "万亿": Decimal(10) ** 12, "千亿": Decimal(10) ** 11, "百亿": Decimal(10) ** 10, "十亿": Decimal(10) ** 9, "亿": Decimal(10) ** 8,
    "千万": Decimal(10) ** 7, "百万": Decimal(10) ** 6, "十万": Decimal(10) ** 5, "万": Decimal(10) ** 4, "千": Decimal(10) ** 3,
    "百": Decimal(10) ** 2, "十": Decimal(10),
}  # fmt: skip
PERCENT = "%"
PER_MILLE = "‰"
RATES = {PERCENT: Decimal("0.01"), PER_MILLE: Decimal("0.001")}
OTHER_BRACKETS = str.maketrans("[]【】〔〕{}", "()()()()")
_BRACKETS = re.compile(r"\(([^()]*)\)")
_LINE = re.compile(r"[,、;:()和及]")
_TOKENS = re.compile(r"[,、;和及]")
_NO_UNIT = re.compile("^[见如详按同]|(?:局|办|办公室|委|委员会|部|院|站|中心|公司|政府|镇|乡|会|科|股)$|.{13}")  # on a line 单位：…, but none


@dataclass(frozen=True, slots=True)
class Unit:
    """``power`` × ``word``: 万亩 is 10000 × 亩."""

    text: str
    power: Decimal
    word: str


class Units:
    """The units that the contracts know, from ``writing`` of general.yaml, and those of the contracts' fields (``more``)."""

    def __init__(self, writing: dict[str, Any], more: Iterable[str] = ()):
        self._by_unit = {unit: frozenset(map(squeeze, words)) for unit, words in writing["unit_words"].items()}
        self._names = {str(name).lower(): unit for name, unit in writing["unit_names"].items()}
        self._measures = frozenset(w for unit in writing["measures"] for w in self._by_unit[unit])
        money = {squeeze(w) for w in writing["money_units"]}
        self._money = frozenset({"元"}) | {w for w in money if len(w) == 1}
        self.words = frozenset().union(*self._by_unit.values()) | self._money
        for text in sorted({squeeze(t) for t in more}):
            if text not in self._by_unit and self.parse(text) is None:  # 美元 of 万美元, 公斤/公顷: a measure like those we know
                word = next((text[len(p) :] for p in POWERS if text.startswith(p) and len(text) > len(p)), text)
                self._by_unit[word] = frozenset({word})
                self._measures |= {word}
                self.words |= {word}
        self.scaled_words = frozenset(p + w for p in POWERS for w in self.words)

    def parse(self, text: str) -> Unit | None:
        """万亩 → 10000 × 亩; None for what is no unit."""
        key = squeeze(text)
        if key in self.words:
            return Unit(key, Decimal(1), key)
        for prefix, power in POWERS.items():
            if key.startswith(prefix) and key[len(prefix) :] in self.words:
                return Unit(key, power, key[len(prefix) :])
        named = self._names.get(key.lower())
        word = "元" if named == "yuan" else next(iter(sorted(self._by_unit.get(named or "", ()))), None)
        return Unit(key, Decimal(1), word) if word else None

    def canonical(self, text: str) -> str:
        """A contract's unit as the rest of the code knows it: CNY → yuan, hectares → 公顷, 人 → persons; else as written."""
        key = squeeze(text)
        found = self._names.get(key.lower())
        if found or key in self._by_unit:
            return found or key
        return next((unit for unit, words in self._by_unit.items() if key in words and unit not in ("items", "criteria")), key)

    def of(self, field: Field) -> tuple[Decimal, frozenset[str]] | None:
        """Power of ten and words of a field's own unit; None where the contract names no unit."""
        if not field.unit:
            return None
        if field.unit == "yuan":
            return Decimal(1), self._money
        if field.unit in self._by_unit:
            return Decimal(1), self._by_unit[field.unit]
        parsed = self.parse(field.unit)
        return (parsed.power, self._alike(parsed.word)) if parsed else (Decimal(1), frozenset({squeeze(field.unit)}))

    def _alike(self, word: str) -> frozenset[str]:
        return next((words for words in self._by_unit.values() if word in words), frozenset({word}))

    def factor(self, field: Field, unit: str | None) -> Decimal:
        """What a bare number of a column is multiplied by, when it is in ``unit`` (None: in the field's own)."""
        own, stated = self.of(field), self.parse(unit) if unit else None
        return stated.power / own[0] if own and stated and stated.word in own[1] else Decimal(1)

    def in_text(self, text: str) -> Unit | str | None:
        """The unit in a heading's brackets, or which the whole text is; '%' for a rate."""
        return next(iter(self.listed(text)), None)

    def listed(self, text: str) -> list[Unit | str]:
        """All that a heading's brackets list (千公顷、万吨 over several columns), or what the whole text is."""
        key = squeeze(text).translate(OTHER_BRACKETS)
        for inner in reversed(_BRACKETS.findall(key)):
            tokens = _TOKENS.split(inner.removeprefix("单位:"))
            if found := [u for t in tokens if (u := self.parse(t) or (t if t in RATES else None))]:
                return found
        whole = self.parse(key) or (key[-1] if key.endswith(tuple(RATES)) else None)
        return [whole] if whole else []

    def in_line(self, line: str) -> list[Unit]:
        """The units of a 单位 line: 亩、万元, （单位：万亩）, 万亩/万吨 (but 公斤/亩 is a unit of its own)."""
        return [u for token in self._tokens(line) for u in self._units_of(token)]

    def _units_of(self, token: str) -> list[Unit]:
        if whole := self.parse(token):
            return [whole]
        parts = [u for u in map(self.parse, token.split("/")) if u]
        return parts if any(u.power != 1 for u in parts) else []

    def _tokens(self, line: str) -> list[str]:
        """What a 单位 line lists. Spaces part it only where it makes no sense without them (万 元, but 亩 吨), and not behind a number (10000 yuan)."""
        found = []
        for part in _LINE.split(unicodedata.normalize("NFKC", line).translate(OTHER_BRACKETS).replace("人民币", "")) if line else ():
            token = squeeze(part)
            known = token in RATES or self._units_of(token)
            apart = part.split()
            found += [token] if known or any(a.isdigit() for a in apart) else map(squeeze, apart)
        return [t for t in found if t and not t.endswith("单位")]

    def rate_in_line(self, line: str) -> str | None:
        """% or ‰, where a 单位 line lists one of them."""
        rates = set(self._tokens(line)) & RATES.keys()
        return rates.pop() if len(rates) == 1 else None

    def is_line(self, text: str) -> bool:
        """A text that is nothing but units: （千公顷、万吨）."""
        tokens = self._tokens(text)
        return bool(tokens) and all(t in RATES or self._units_of(t) for t in tokens)

    def unread(self, line: str, compound: bool = False) -> str | None:
        """What a 单位 line lists that no contract knows (万美元, 担); one made of two known units only where asked for."""
        for token in self._tokens(line):
            if token in RATES or self._units_of(token) or _NO_UNIT.search(token):
                continue
            if compound or "/" not in token or not all(map(self.parse, token.split("/"))):
                return token
        return None

    def money_in_line(self, line: str, known: dict[str, str]) -> str | None:
        """Why a 单位 line does not tell what the amounts are in: it names two units of money, or one we have no factor for (百万元)."""
        stated = {u.text: u.power for u in self.in_line(line) if u.word in self._money}
        if len(set(stated.values())) > 1:
            return f"没有注明金额单位，而单位栏同时写有“{'”“'.join(stated)}”"
        strange = next((t for t in stated if t not in known), None) or (None if stated else self.unread(line))
        return f"没有注明金额单位，而单位栏注明的“{strange}”不是可以换算的金额单位" if strange else None

    def misplaced(self, field: Field, levels: list[str], known: dict[str, str]) -> str | None:
        """Why the heading of a money column cannot be right: it speaks of another unit, or of one we have no factor for."""
        listed = next((found for t in reversed(levels) if (found := self.listed(t))), [])
        if len({u.power for u in listed if isinstance(u, Unit) and u.word in self._money}) > 1:
            return "列名同时写有几种金额单位"
        if not any(isinstance(u, str) for u in listed) and any(u.text in known for u in listed):
            return None
        heading = next(iter(listed), None)
        text = heading.text if isinstance(heading, Unit) else heading
        if text is None or text in known or (isinstance(heading, Unit) and not self.telling(heading)):
            return None
        return f"列名注明的单位为“{text}”，不是可以换算的金额单位"

    def settle(self, field: Field, levels: list[str], line: str, form: Form) -> tuple[str | None, str | None]:
        """(unit that a column's bare numbers are in, None) or (None, why that cannot be told).

        ``levels``: the column's headings from the top down; ``line``: the table's 单位 line, '' if it has none.
        For numbers that are no rates. The heading goes before the line, the line before the contract's own heading.
        """
        own = self.of(field)
        if field.unit_by_row:
            return None, None
        listed = next((found for t in reversed(levels) if (found := self.listed(t))), [])
        ours = [u for u in listed if own and isinstance(u, Unit) and u.word in own[1]]
        if len({u.power for u in ours}) > 1:
            return None, f"列名同时写有“{'”“'.join(u.text for u in ours)}”"
        heading = next(iter(ours or listed), None)
        if isinstance(heading, str):
            return None, f"列名注明的是“{heading}”，而数据契约规定为数值"
        if heading:
            return self._accept(field, own, heading, "列名注明的单位")
        tokens = self.in_line(line)
        fitting = {u.text: u for u in tokens if own and u.word in own[1]}
        if len({u.power for u in fitting.values()}) > 1:
            return None, f"单位栏同时写有“{'”“'.join(fitting)}”，本列没有注明是哪一种"
        if fitting:
            return next(iter(fitting)), None
        rates = [t for t in self._tokens(line) if t in RATES]
        if rates and ((own and PER_MILLE in own[1]) or (not tokens and (own is None or self._is_measure(own[1])))):
            return None, f"单位栏注明的是“{rates[0]}”，而数据契约规定为数值"
        unread = self.unread(line, compound="/" in (field.unit or ""))
        if unread and (self._is_measure(own[1]) if own else unread.startswith(tuple(POWERS))):
            return None, f"单位栏注明的单位“{unread}”不是数据契约规定的单位"
        known = [words for f in form.fields if f.numeric and (o := self.of(f)) for words in [o[1]]]
        strange = [u for u in tokens if self.telling(u) and not any(u.word in words for words in known)]
        if strange and (own is None or self._is_measure(own[1])):
            return self._accept(field, own, strange[0], "单位栏注明的单位")
        written = self.in_text(field.zh)
        return (written.text, None) if isinstance(written, Unit) and own and written.word in own[1] else (None, None)

    def _accept(self, field: Field, own: tuple[Decimal, frozenset[str]] | None, stated: Unit, where: str) -> tuple[str | None, str | None]:
        if own and stated.word in own[1]:
            return stated.text, None
        if not self.telling(stated) and not (own and self._is_measure(own[1])):
            return None, None  # 个 over a number of households: said loosely, and nothing hangs on it
        if own is None:
            return None, f"{where}为“{stated.text}”，而数据契约没有规定本列的单位"
        return None, f"{where}为“{stated.text}”，与数据契约规定的“{self.name(field)}”不能换算"

    def telling(self, unit: Unit) -> bool:
        """A unit that decides what a figure is; persons, households, pieces go without saying."""
        return unit.power != 1 or unit.word in self._measures or unit.word in self._money

    def _is_measure(self, words: frozenset[str]) -> bool:
        """Area, weight, money, or a unit that we do not know: taking another one for it would be a wrong figure."""
        return not words & self.words or bool(words & (self._measures | self._money))

    def name(self, field: Field) -> str:
        """The field's unit in Chinese, as far as known."""
        if field.unit == "yuan":
            return "元"
        return next(iter(sorted(self._by_unit[field.unit]))) if field.unit in self._by_unit else field.unit or ""
