"""The ways in which a township or village is written, each with the codes it stands for.

Worked out for the county that is asked about: a file speaks of one, and a nation has half a million villages.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

PEOPLES = re.compile(  # names of peoples in the names of townships and counties: 汪甸瑶族乡 is also written 汪甸乡
    "(?:(?:各|壮|瑶|苗|侗|仫佬|毛南|回|京|彝|水|仡佬|满|蒙古|藏|维吾尔|土家|布依|白|傣|哈尼|黎|畲|朝鲜)族)+"
)
EVERYWHERE = ""  # instead of a county's code
_TOWNSHIP_ENDINGS = ("街道", "镇", "乡")
_VILLAGE_BODIES = re.compile("(?:村民委员会|居民委员会|村委会|居委会|村委)$")
_SPACES = re.compile(r"[\s\u00ad\u200b-\u200f\u2028-\u202e\u2060\ufeff\x00-\x1f]+")


@dataclass(frozen=True)
class Place:
    code: str
    name: str
    county: str
    township: str | None = None  # of a village


def tidy(text: str) -> str:
    """A name without spaces of any width, with half-width letters and digits."""
    return _SPACES.sub("", unicodedata.normalize("NFKC", text))


class PlaceNames:
    """Name, tidied → codes of the places of one kind, in a county or everywhere. ``variants`` gives a place's names, the official one first."""

    def __init__(self, places: Iterable[Place], variants: Callable[[Place], list[str]]) -> None:
        self._variants = variants
        self._places: dict[str, list[Place]] = defaultdict(list)
        for place in places:
            self._places[place.county].append(place)
        self._known: dict[str, dict[str, list[str]]] = {}

    def find(self, name: str, county: str) -> list[str] | None:
        """Codes of a name in a county (`EVERYWHERE`: in any); None where it is no place's."""
        known = self._known.get(county)
        if known is None:
            places = itertools.chain.from_iterable(self._places.values()) if county == EVERYWHERE else self._places.get(county, ())
            known = self._known[county] = self._by_name(places)
        return known.get(name)

    def _by_name(self, places: Iterable[Place]) -> dict[str, list[str]]:
        """An official name goes before another place's variant."""
        official: dict[str, list[str]] = defaultdict(list)
        derived: dict[str, list[str]] = defaultdict(list)
        for place in places:
            first, *rest = dict.fromkeys(map(tidy, self._variants(place)))
            official[first].append(place.code)
            for name in (*rest, place.code):
                derived[name].append(place.code)
        return derived | official


def township_variants(place: Place) -> list[str]:
    """汪甸瑶族乡 → 汪甸乡, 汪甸; 百城街道 → 百城街道办事处, 百城街道办, 百城."""
    names = [place.name]
    plain = PEOPLES.sub("", place.name)
    names.append(plain)
    for ending in _TOWNSHIP_ENDINGS:
        if plain.endswith(ending) and len(plain) > len(ending) + 1:
            names.append(plain.removesuffix(ending))
            if ending == "街道":
                names += [plain + "办事处", plain + "办"]
    return list(dict.fromkeys(names))


def village_variants(place: Place) -> list[str]:
    """六苜村委会 → 六苜村, 六苜村民委员会, 六苜; 品村村委会 → 品村村, 品村; 百胜社区居委会 → 百胜社区, 百胜居委会, 百胜社区居民委员会, 百胜."""
    stem = _VILLAGE_BODIES.sub("", place.name)
    names = [place.name]
    if stem.endswith("社区") or place.name.endswith(("居委会", "居民委员会")):
        base = stem.removesuffix("社区")
        names += [base + e for e in ("社区", "社区居委会", "社区居民委员会", "居委会", "居民委员会")]
    else:
        base = stem
        names += [base + e for e in ("村", "村委会", "村委", "村民委员会")]
    if len(base) > 1:
        names.append(base)
    return list(dict.fromkeys(names))
