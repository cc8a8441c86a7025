"""Licences are listed for all that is locked, copyleft is marked, and an audit that could ask nobody is no pass."""

from __future__ import annotations

import re

import pytest

from warehouse import supply_chain
from warehouse.supply_chain import LICENCES, UNREACHED, licence_of, licences, locked, verdict


def test_every_locked_package_is_on_the_page_in_the_locked_version():
    page = {(name, version) for name, version in re.findall(r"^\| (\S+) \| (\S+) \|", LICENCES.read_text(encoding="utf-8"), re.M)} - {("package", "version")}
    assert page == {(p.name, p.version) for p in locked()}, "run `make licences`"


def test_the_lock_is_read_whole():
    text = supply_chain.LOCK.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if re.match(r"^[A-Za-z0-9]", line)]
    assert len(lines) == len(locked()) > 200
    assert text.count("--hash=sha256:") > len(lines)  # each one hashed
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
    assert [block.splitlines()[0] for block in blocks if re.match(r"^[A-Za-z0-9]", block) and "--hash=" not in block] == []


def test_what_is_known_to_be_copyleft_is_marked_and_what_is_not_is_not():
    page = licences(LICENCES.read_text(encoding="utf-8"))
    marked = set(re.findall(r"^\| (\S+) \| .* \| \*\*yes\*\* \|$", page, re.M))
    assert {"psycopg", "psycopg2-binary", "certifi", "hypothesis"} <= marked  # LGPL, LGPL, MPL, MPL
    assert not {"click", "pyyaml", "apache-airflow", "pytest", "sqlalchemy"} & marked


def test_the_page_agrees_with_what_is_installed():
    page = dict(re.findall(r"^\| (\S+) \| \S+ \| (.+?) \| .*\|$", LICENCES.read_text(encoding="utf-8"), re.M))
    assert {p.name: page[p.name] for p in locked() if licence_of(p.name) and page[p.name] != licence_of(p.name).replace("|", "/")} == {}


@pytest.mark.parametrize(
    ("packages", "code", "says"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0, "none with a known"),
        ([{"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}], 1, "PYSEC-1, mended in 2"),
        ([{"name": "a", "version": "1", "vulns": []}, {"name": "b", "version": "1", "skip_reason": "not found"}], UNREACHED, "no pass and no failure"),
        ([{"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": []}]}, {"name": "b", "version": "1", "skip_reason": "x"}], 1, "could not be looked up"),
    ],
)
def test_an_audit_that_could_not_ask_for_every_package_is_neither_pass_nor_failure(packages, code, says):
    told, text = verdict({"dependencies": packages})
    assert told == code and says in text
