"""Every runbook as written: its commands are run over demonstration data, and what they print is what the page says.

The clock is that of the demonstration (a Wednesday in June 2020) and Great Expectations is left out, for speed; the
rest is the program itself, in a copy of the project, so that a page may change reference data.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from demo.generate import write_week
from warehouse.cli import main
from warehouse.embedded import EmbeddedServer
from warehouse.settings import REPOSITORY, Settings

RUNBOOKS = REPOSITORY / "docs" / "runbooks"
PAGES = sorted(p.name for p in RUNBOOKS.glob("*.md") if p.name != "README.md")
LONG = bool(os.environ.get("WAREHOUSE_LONG"))
NOW = "2020-06-17T13:00:00+08:00"
COUNTIES, FORMS = ("451002", "451026"), ("EMP01", "FUN01", "MON02")
PROGRAM = f"""#!{sys.executable}
import functools, sys
import expectations.judge as judging, expectations.reminders
judging.judge = functools.partial(judging.judge, great_expectations=False)
from warehouse.cli import main
if sys.argv[1] in ("cycle", "build", "judge", "health", "watch", "remind") and "--now" not in sys.argv:
    sys.argv += ["--now", "{NOW}"]
main()
"""


@dataclass
class Block:
    commands: str
    runs: bool  # here; a block that needs a command which this version does not have does not
    expected: list[str]
    line: int


def blocks(text: str) -> list[Block]:
    """The blocks of commands of a page in order, each with the output that the page shows after it."""
    found = []
    for match in re.finditer(r"^```(sh not-run|sh needs [a-z-]+|sh|text)\n(.*?)^```$", text, re.M | re.S):
        kind, body = match.groups()
        if kind == "text":
            assert found and not found[-1].expected, "output without commands before it"
            found[-1].expected = body.splitlines()
        else:
            found.append(Block(body, kind == "sh" or kind.removeprefix("sh needs ") in main.commands, [], text[: match.start()].count("\n") + 1))
    return found


def test_every_page_is_in_the_list_and_has_something_to_run():
    listed = re.findall(r"\]\(([a-z-]+\.md)\)", (RUNBOOKS / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == PAGES and len(PAGES) == 11
    for name in PAGES:
        text = (RUNBOOKS / name).read_text(encoding="utf-8")
        assert re.match(r"# [一-鿿]", text) and any(b.runs and b.expected for b in blocks(text)), name
        for block in (b for b in blocks(text) if not b.runs and "rotate-key" not in b.commands):  # why it is not run is said beside it
            lines = text.splitlines()
            near = " ".join(lines[max(0, block.line - 4) : block.line + block.commands.count("\n") + 6])
            assert re.search(r"not run from here", near, re.I), (name, block.line)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A stopped home with two weeks published, and what arrives next: a week, a correction, a file that is none."""
    folder = tmp_path_factory.mktemp("runbooks")
    settings = replace(Settings.from_environment(), home=folder / "home", url=None)
    settings.prepare()
    program(folder)
    environment = surroundings(folder, folder / "home", REPOSITORY)
    for number in (22, 23):
        week = write_week(folder / f"w{number}", number, counties=COUNTIES, forms=FORMS, payouts=4)
        week.folder.rename(settings.inbox / f"w{number}")
        done = subprocess.run(["warehouse", "cycle", "--now", NOW if number == 23 else "2020-06-03T13:00+08:00"], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:] + done.stdout
    EmbeddedServer(settings).stop()
    write_week(folder / "2020-W24", 24, counties=COUNTIES, forms=FORMS, payouts=4)
    write_week(folder / "corrected", 23, counties=COUNTIES[:1], forms=FORMS[:1], seed=77)
    (folder / "broken.xlsx").write_bytes(b"no workbook")
    return folder


def program(folder: Path) -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "warehouse").write_text(PROGRAM, encoding="utf-8")
    (folder / "bin" / "warehouse").chmod(0o755)


def surroundings(folder: Path, home: Path, project: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WAREHOUSE_")}
    return kept | {"WAREHOUSE_HOME": str(home), "PYTHONPATH": str(project), "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}


@pytest.mark.database
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(not LONG, reason="only with WAREHOUSE_LONG=1")
@pytest.mark.parametrize("name", PAGES)
def test_the_page_does_what_it_says(prepared, tmp_path, name):
    tmp_path.chmod(0o755)
    place = tmp_path / "place"
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    for file in filter(None, listed.decode().split("\0")):
        if (REPOSITORY / file).is_file():
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / file, place / file)
    for entry in ("2020-W24", "corrected"):
        shutil.copytree(prepared / entry, place / entry)
    shutil.copy(prepared / "broken.xlsx", place)
    (place / ".venv").symlink_to(sys.prefix)
    home = tmp_path / "home"
    subprocess.run(["cp", "-a", str(prepared / "home"), str(home)], check=True)
    (home / "postgres" / "port").unlink()
    program(tmp_path)
    environment = surroundings(tmp_path, home, place)
    EmbeddedServer(replace(Settings.from_environment(), home=home, url=None)).start()  # as on any machine that is in use
    try:
        for block in blocks((RUNBOOKS / name).read_text(encoding="utf-8")):
            if not block.runs:
                continue
            # the page's `export` holds for the blocks after it
            script = f"set -euo pipefail\n[ -f .exported ] && . ./.exported\n{block.commands}\nexport -p | grep WAREHOUSE_HOME= > .exported || true\n"
            done = subprocess.run(["bash", "-c", script], cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=900)
            where = f"{name}, line {block.line}:\n{block.commands}\n--\n{done.stdout[-3000:]}\n--\n{done.stderr[-2000:]}"
            assert done.returncode == 0, where
            assert follows(done.stdout.splitlines(), block.expected), where
    finally:
        for each in (home, *(p for p in place.iterdir() if (p / "postgres").is_dir())):
            EmbeddedServer(replace(Settings.from_environment(), home=each, url=None)).stop()


def follows(lines: list[str], expected: list[str]) -> bool:
    """Whether the lines that a page shows come in what was printed, in that order; others may lie between."""
    left = iter(lines)
    return all(any(re.fullmatch(".*".join(map(re.escape, wanted.strip().split("…"))), line.strip()) for line in left) for wanted in expected if wanted.strip())


def test_the_comparison_sees_what_is_missing_and_what_is_out_of_order():
    assert follows(["a 1", "b", "c 2"], ["a …", "c 2"])
    assert not follows(["a 1", "b"], ["b", "a …"])
    assert not follows(["a 1"], ["a 2"])
