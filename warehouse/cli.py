"""The command line: each command calls one public function and prints what came of it.

The commands are in `warehouse.commands`, in the order in which one meets them. Imports are made where they are needed:
`warehouse url` answers before a heavier module could be loaded.
"""

from warehouse.commands import (  # noqa: F401, I001  their order is that of the help
    database,
    steps,
    waiving,
    orchestration,
    audit,
    quality,
    brief,
    export,
    bi,
    backup,
    operations,
    security,
    spark,
)
from warehouse.commands.base import main

__all__ = ["main"]
