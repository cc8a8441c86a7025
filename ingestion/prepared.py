"""Files that were read ahead, ready to load: kept in ``home/prepared`` until the loader takes them up.

Reading a file needs no database and no order, so it can be done anywhere and before; what comes of it is what the
loader would get from its own reader. The name of a prepared file says all that the reading depended on: the original
and its sealing, the name and time it came with, the code, contracts, places and libraries it was read by, the keys.
With any of them different it is simply not found, and the loader reads the original. It is sealed like the
originals, since what stands in a form is not for everybody; there is no clear personal value in it even so.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
import pickle
import sys
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from ingestion import contracts, reference_files
from ingestion.copying import ReaderLost
from ingestion.pseudonyms import Pseudonyms
from ingestion.reader_process import Answer, Question, refused
from ingestion.receive import archived
from ingestion.rounds import FileRow
from warehouse import originals
from warehouse.settings import REPOSITORY, Settings, WarehouseError

FOLDER = "prepared"
DRAFT_SECONDS = 3600.0


@functools.cache
def version() -> str:
    """SHA-256 of everything that has a part in how a file is read: code, contracts, places, libraries."""
    found = hashlib.sha256(sys.version.encode())
    code = sorted(path for path in Path(__file__).parent.rglob("*") if path.suffix in (".py", ".yaml"))
    given = [path for folder in contracts.extra_folders() for path in sorted(folder.glob("*.y*ml"))]
    lock = [path for path in [REPOSITORY / "requirements.lock"] if path.exists()]
    for path in [*code, *given, *reference_files.files().values(), *lock]:
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def question(settings: Settings, file: FileRow) -> Question:
    return Question(archived(settings, file.sha256), file.original_name, file.received_at)


class Prepared:
    """The prepared files of a home. Whatever is wrong with one, it is not there, and the original is read."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.folder = settings, settings.home / FOLDER
        self._pseudonyms = Pseudonyms.of(settings)

    @property
    def empty(self) -> bool:
        return not self.folder.is_dir() or next(self.folder.iterdir(), None) is None

    def originals(self) -> set[str]:
        """SHA-256 of all originals of which something is kept, whoever can use it."""
        return {name[:64] for name in self._names()}

    def kept(self, files: Iterable[FileRow]) -> set[str]:
        """SHA-256 of those of some files that are prepared for this version and these keys."""
        there, known = self._names(), self.originals()
        return {f.sha256 for f in files if f.sha256 in known and self._name(f) in there}

    def keep(self, file: FileRow, answer: Answer) -> None:
        """Keep what came of reading a file, in one step. Raises OSError where the disk does not take it."""
        try:
            for form in answer.file.forms:
                deque(form.pieces, maxlen=0)  # rows of a long form may still be on their way, and only those that have come are kept
        except ReaderLost as lost:
            answer = refused(file.original_name, lost.kind, lost.trouble)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        name = self._name(file)
        originals.write(self.folder / name, pickle.dumps((name, answer), protocol=5), self._pseudonyms.keys, durable=False)

    def take(self, file: FileRow) -> Answer | None:
        """What was kept of a file; None where there is nothing, or nothing that can be trusted."""
        name = self._name(file)
        try:
            # sealed with our key, so that nobody else can have us unpickle something
            inside, answer = pickle.loads(originals.read_sealed(self.folder / name, self._pseudonyms.keys))
        except (OSError, WarehouseError, pickle.UnpicklingError, EOFError, AttributeError, ImportError, ValueError, TypeError):
            return None
        return answer if inside == name else None  # a file that was moved to another's name

    def remove(self, sha256s: Iterable[str]) -> None:
        """Forget originals that are loaded."""
        gone = set(sha256s)
        for name in self._names():
            if name[:64] in gone:
                (self.folder / name).unlink(missing_ok=True)

    def sweep(self, waiting: Iterable[str]) -> None:
        """Forget what no file waits for any more, and what a killed writer left behind."""
        self.remove(self.originals() - set(waiting))
        if self.folder.is_dir():
            for draft in self.folder.glob(f"{originals.DRAFT}*"):
                if time.time() - draft.stat().st_mtime > DRAFT_SECONDS:
                    draft.unlink(missing_ok=True)

    def _names(self) -> set[str]:
        try:
            return {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}
        except OSError:
            return set()

    def _name(self, file: FileRow) -> str:
        """Original, and a digest of all that its reading depends on."""
        try:
            sealing = originals.head_of(archived(self.settings, file.sha256)).hex()
        except OSError:
            sealing = ""  # not there, which is what its reader says then
        secret = self._pseudonyms.of_value("prepared", "stamp")  # tells one secret from another, and nothing about either
        came = file.received_at.astimezone(dt.UTC).isoformat()
        stamp = json.dumps([version(), sealing, file.original_name, came, self._pseudonyms.keys.current, secret])
        return f"{file.sha256}-{hashlib.sha256(stamp.encode('utf-8', 'surrogatepass')).hexdigest()}"


def forget_all(settings: Settings) -> None:
    """Throw away everything that was read ahead (a new key, an erasure): it is read again."""
    Prepared(settings).sweep(())
