"""The long imports of a cycle (dbt, Great Expectations: some eight seconds), made while files are being read.

Reading happens in processes of its own, so this one would only wait: it imports dbt, in a thread, and another process
Great Expectations. Whoever needs a module before it is there waits for it in its ``import`` statement; a module that
cannot be imported is reported there, too, and not here.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from expectations import validation_process

MODULES = ("dbt.cli.main", "dbt.adapters.postgres")


@contextmanager
def warming() -> Iterator[None]:
    """Begin to import what a whole cycle needs; what was not needed ends with the block."""
    threading.Thread(target=_import, name="warm-up", daemon=True).start()
    with suppress(OSError):  # no process to be had: then it is imported where it is needed
        validation_process.start()
    try:
        yield
    finally:
        validation_process.stop()


def _import() -> None:
    for name in MODULES:
        with suppress(Exception):
            importlib.import_module(name)
