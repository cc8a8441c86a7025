"""Where this warehouse keeps its state and how it is reached; read once from the environment."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

REPOSITORY = Path(__file__).resolve().parents[1]


class WarehouseError(Exception):
    """A fault that a person can mend; its text says what to do. The command line prints it without a traceback."""


@dataclass(frozen=True)
class Settings:
    """State folder, optional external server, the city's time zone, and an optional Spark to build on.

    ``url`` is None when the embedded PostgreSQL is used, ``spark`` when PostgreSQL makes the marts itself.
    """

    home: Path
    url: str | None
    timezone: ZoneInfo
    spark: str | None = None  # a Spark master, such as local[2] or spark://host:7077

    @classmethod
    def from_environment(cls) -> Settings:
        """Read WAREHOUSE_HOME (default ./var beside the repository), WAREHOUSE_URL, WAREHOUSE_TIMEZONE and WAREHOUSE_SPARK."""
        home = Path(os.environ.get("WAREHOUSE_HOME") or REPOSITORY / "var").resolve()
        url = os.environ.get("WAREHOUSE_URL") or None
        return cls(home, url, ZoneInfo(os.environ.get("WAREHOUSE_TIMEZONE", "Asia/Shanghai")), os.environ.get("WAREHOUSE_SPARK") or None)

    @property
    def inbox(self) -> Path:
        return self.home / "inbox"

    @property
    def archive(self) -> Path:
        """Originals by SHA-256, never changed."""
        return self.home / "archive"

    @property
    def outbox(self) -> Path:
        """What goes back to the counties."""
        return self.home / "outbox"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def prepare(self) -> None:
        """Create the state folders. Raises WarehouseError where the home cannot be written."""
        try:
            for folder in (self.home, self.inbox, self.archive, self.outbox, self.reports, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseError(
                f"The state folder {self.home} cannot be written ({error.strerror}). "
                "Set WAREHOUSE_HOME to a folder you own, or free some disk."
            ) from error

    def secret(self, name: str, length: int = 48, form: str = "{}") -> str:
        """A random secret of this home, made at first use and kept in ``home/secrets`` readable by its owner only.

        ``form`` is what is written, with the hexadecimal digits of ``length`` random bytes in place of {}.
        WAREHOUSE_SECRET_<NAME> goes before it, for services that share a secret and no folder.
        """
        if given := os.environ.get(f"WAREHOUSE_SECRET_{name.upper()}"):
            return given
        folder = self.home / "secrets"
        path = folder / name
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = folder / f".{name}.{secrets.token_hex(8)}"  # threads of one process may ask at the same time
            draft.touch(mode=0o600)
            draft.write_text(form.format(secrets.token_hex(length)), encoding="ascii")
            try:  # a link fails if another process was first, so both end with the same secret
                os.link(draft, path)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return path.read_text(encoding="ascii").strip()
