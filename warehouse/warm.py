"""The long imports of a cycle (dbt, Great Expectations: some eight seconds), made while files are being read.

Reading happens in processes of its own, so this one would only wait. Whoever needs a module before it is there waits
for it in its ``import`` statement; a module that cannot be imported is reported there, too, and not here.
"""

from __future__ import annotations

import importlib
import os
import threading
import warnings
from contextlib import suppress

MODULES = ("dbt.cli.main", "dbt.adapters.postgres", "great_expectations")


def warm_up() -> threading.Thread:
    """Begin to import in a thread that nobody has to wait for."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")  # read while it is imported; it calls home otherwise
    thread = threading.Thread(target=_import, name="warm-up", daemon=True)
    thread.start()
    return thread


def _import() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in MODULES:
            with suppress(Exception):
                importlib.import_module(name)
