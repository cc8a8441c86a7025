"""How progress reaches a person: one callable, a line or a moving bar, always on stderr.

Every long step takes ``progress``: a callable ``(what, done=None, total=None)``. ``what`` is short text,
``done`` and ``total`` are counts of the unit the text names (files, slices, rules).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

Report = Callable[..., None]
QUIET_SECONDS = 2.0  # plain lines: at most one of a kind in this time, so that logs stay readable


class Progress:
    """Call it as ``progress(what, done, total)``; use as a context manager so that the bar is put away."""

    def __init__(self, stream: TextIO | None = None, tty: bool | None = None):
        self.stream = stream or sys.stderr
        self.tty = self.stream.isatty() if tty is None else tty
        self.began = time.monotonic()
        self._status = None
        self._last: tuple[str, float] = ("", 0.0)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_) -> None:
        self.clear()

    def __call__(self, what: str, done: int | None = None, total: int | None = None) -> None:
        text = f"{what} {done:,}/{total:,}" if total else (f"{what} {done:,}" if done is not None else what)
        if self.tty:
            self._show(text)
            return
        now = time.monotonic()
        kind, since = self._last
        if what == kind and now - since < QUIET_SECONDS and not (total and done == total):
            return
        self._last = (what, now)
        self._write(text)

    def line(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        self._last = ("", 0.0)
        self._write(text)

    def clear(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _write(self, text: str) -> None:
        elapsed = int(time.monotonic() - self.began)
        print(f"[{elapsed // 60:d}:{elapsed % 60:02d}] {text}", file=self.stream, flush=True)

    def _show(self, text: str) -> None:
        elapsed = int(time.monotonic() - self.began)
        text = f"[{elapsed // 60:d}:{elapsed % 60:02d}] {text}"
        if self._status is None:
            # only where a person looks on: half the start-up time of the commands
            from rich.console import Console

            self._status = Console(file=self.stream, highlight=False).status(text, spinner="dots")
            self._status.start()
        else:
            self._status.update(text)


def silent(what: str, done: int | None = None, total: int | None = None) -> None:
    """Progress for nobody."""
