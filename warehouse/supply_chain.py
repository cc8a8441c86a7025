"""What the product is made of: known vulnerabilities, bill of materials, licences.

    python -m warehouse.supply_chain audit       # exit codes: 0 no advisory, 1 advisories, 3 nobody could be asked
    python -m warehouse.supply_chain bom         # CycloneDX JSON to var/bom.cdx.json
    python -m warehouse.supply_chain licences    # docs/licences.md

pip-audit and cyclonedx-bom live in ``.venv-audit`` (``make audit``, ``make bom``), not among the product's packages.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata

from warehouse.settings import REPOSITORY

LOCK = REPOSITORY / "requirements.lock"
LICENCES = REPOSITORY / "docs" / "licences.md"
TOOLS = REPOSITORY / ".venv-audit" / "bin"
UNREACHED = 3

COPYLEFT = re.compile(r"\b(AGPL|LGPL|GPL|MPL|EPL|CDDL|EUPL|OSL)|(General Public|Mozilla Public|Eclipse Public)", re.I)
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^ ;\\]+)(?:\s*;\s*(?P<marker>[^\\]+?))?\s*\\?$", re.M)

HEAD = """# Licences

Written by `make licences` from the metadata of the packages in `requirements.lock` (fonts, PostgreSQL's binaries and
the like inside of a wheel are named by that wheel). A test fails when a locked package is missing here.

{count} packages. Copyleft is marked; all of it is used unmodified, as a library or program of its own:

{copyleft}

| package | version | licence | copyleft |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Locked:
    name: str  # normalised
    version: str
    marker: str | None  # of packages that only some platforms need


def locked(text: str | None = None) -> list[Locked]:
    """Every package of the lock, in order of name."""
    text = LOCK.read_text(encoding="utf-8") if text is None else text
    found = {(normal(m["name"]), m["version"], m["marker"]) for m in _PIN.finditer(text)}
    return [Locked(*row) for row in sorted(found, key=lambda row: row[:2])]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# -- advisories ------------------------------------------------------------------------------------


def verdict(report: dict) -> tuple[int, str]:
    """(exit code, sentence) for pip-audit's JSON. Packages that it could not look up are neither a pass nor a failure."""
    packages = report["dependencies"]
    bad = [(p["name"], p["version"], v) for p in packages for v in p.get("vulns", ())]
    asked = [p for p in packages if "skip_reason" not in p]
    left = len(packages) - len(asked)
    if bad:
        lines = [f"  {name} {version}: {v['id']}, mended in {', '.join(v['fix_versions']) or 'no version yet'}" for name, version, v in bad]
        return 1, f"{len(bad)} known vulnerabilities:\n" + "\n".join(lines) + (f"\n{left} packages could not be looked up." if left else "")
    if left:
        return UNREACHED, f"Could not reach the advisory database for {left} of {len(packages)} packages: this is no pass and no failure. Run it where PyPI's advisories can be reached."
    return 0, f"{len(packages)} packages, none with a known vulnerability."


def audit() -> int:
    command = [str(TOOLS / "pip-audit"), "-r", str(LOCK), "--require-hashes", "--disable-pip", "--no-deps", "--progress-spinner", "off", "--timeout", "10", "-f", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        code, text = verdict(json.loads(done.stdout))
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        code, text = UNREACHED, "Could not reach the advisory database: this is no pass and no failure. Run it where PyPI's advisories can be reached."
    print(text)
    return code


# -- bill of materials -----------------------------------------------------------------------------


def bom() -> int:
    """CycloneDX of the installed environment; the lock's hashes are in the lock."""
    target = REPOSITORY / "var" / "bom.cdx.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [str(TOOLS / "cyclonedx-py"), "environment", sys.executable, "--pyproject", str(REPOSITORY / "pyproject.toml"),
               "--output-reproducible", "--of", "JSON", "-o", str(target)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-1000:], file=sys.stderr)
        return 1
    listed = {normal(c["name"]) for c in json.loads(target.read_text(encoding="utf-8"))["components"]}
    missing = sorted({p.name for p in locked() if p.marker is None} - listed)
    print(f"{target}: {len(listed)} components" + (f"; not installed and so not listed: {', '.join(missing)}" if missing else ""))
    return 1 if missing else 0


# -- licences --------------------------------------------------------------------------------------


def licence_of(name: str) -> str | None:
    """What an installed package says of its licence; None where it is not installed."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if expression := about.get("License-Expression"):
        return expression.strip()
    classifiers = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or () if c.startswith("License ::") and not c.endswith("OSI Approved")]
    if classifiers:
        return "; ".join(dict.fromkeys(classifiers))
    text = (about.get("License") or "").strip()
    return text.splitlines()[0][:80] if text else "not stated"


def licences(before: str = "") -> str:
    """The page. A package of another platform keeps the line that was written where it was installed."""
    kept = dict(re.findall(r"^\| (\S+) \| \S+ \| (.+?) \| .*\|$", before, re.M))
    rows = []
    for package in locked():
        said = licence_of(package.name) or kept.get(package.name)
        if said is None or said.startswith("not installed"):
            said = f"not installed here ({package.marker or 'another platform'})"
        rows.append((package.name, package.version, said.replace("|", "/"), bool(COPYLEFT.search(said))))
    marked = [f"- {name}: {said}" for name, _, said, copyleft in rows if copyleft]
    lines = [f"| {name} | {version} | {said} | {'**yes**' if copyleft else ''} |" for name, version, said, copyleft in rows]
    return HEAD.format(count=len(rows), copyleft="\n".join(marked) or "- none") + "\n".join(lines) + "\n"


def write_licences() -> int:
    before = LICENCES.read_text(encoding="utf-8") if LICENCES.exists() else ""
    LICENCES.write_text(licences(before), encoding="utf-8")
    print(f"{LICENCES}: {len(locked())} packages")
    return 0


if __name__ == "__main__":
    commands = {"audit": audit, "bom": bom, "licences": write_licences}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    sys.exit(commands[sys.argv[1]]())


