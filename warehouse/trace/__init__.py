"""The address of a figure: from a published value back to the cells that stood in the counties' files."""

from warehouse.trace.figure import Trace, recompute, trace
from warehouse.trace.tree import Cell, Node

__all__ = ["Cell", "Node", "Trace", "recompute", "trace"]
