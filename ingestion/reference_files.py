"""Which reference files hold: the project's own lists, or those of another city, province or nation laid over them.

``WAREHOUSE_REFERENCE`` names a folder, or a home has one called ``reference``. A list found there takes the place of
the project's list of the same name as a whole; the others stay. Another area therefore brings its counties,
townships, villages and county_industries, and runs on the same code.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from warehouse.settings import Settings, WarehouseError

BUILT_IN = Path(__file__).parent / "reference"
PLACES = ("counties", "townships", "villages", "county_industries")  # they name each other's codes: all of them or none


def folder() -> Path:
    """The folder whose lists go before the project's own; that one where nothing else is said. Raises WarehouseError."""
    given = os.environ.get("WAREHOUSE_REFERENCE")
    if given:
        if not Path(given).is_dir():
            raise WarehouseError(f"WAREHOUSE_REFERENCE is {given}, which is no folder.")
        return Path(given).resolve()
    own = Settings.from_environment().home / "reference"
    return own if own.is_dir() else BUILT_IN


def files(of: Path | None = None) -> dict[str, Path]:
    """Name of each list → its file, in order of name. Raises WarehouseError for a list nobody knows, or half a set of places."""
    of = of or folder()
    built_in = {path.stem: path for path in sorted(BUILT_IN.glob("*.csv"))}
    given = {path.stem: path for path in sorted(of.glob("*.csv"))}
    if unknown := given.keys() - built_in.keys():
        raise WarehouseError(f"{of} holds {_names(unknown)}; the lists are {_names(built_in)}.")
    if given and (lacking := set(PLACES) - given.keys()) and len(lacking) < len(PLACES):
        raise WarehouseError(f"{of} lacks {_names(lacking)}: the lists of places name each other's codes and come together.")
    return built_in | given


def _names(stems: Iterable[str]) -> str:
    return ", ".join(f"{stem}.csv" for stem in sorted(stems))
