"""The contracts: one YAML a form (Open Data Contract Standard v3), read into plain records.

A form, its fields, codes and rules are written in these files and nowhere else. A form may have several
files with different ``validFrom``/``validTo``; `contract_model.Contracts.form` picks the one in force on a week's as-of date.
"""

from __future__ import annotations

import functools
import itertools
import os
from pathlib import Path

import yaml

from ingestion.contract_files import read_forms
from ingestion.contract_model import ContractError, Contracts, Form, Rule

FOLDER = Path(__file__).parent / "contracts"
ENVIRONMENT = "WAREHOUSE_CONTRACTS"  # folders of a city's own contracts, separated like PATH


def load_contracts(*folders: Path) -> Contracts:
    """Read every contract (*.yaml, *.yml) in some folders; the project's own by default.

    Raises ContractError naming the file and what is wrong with it, also where contracts contradict each other.
    """
    general = yaml.safe_load((FOLDER / "general.yaml").read_text(encoding="utf-8"))
    forms = []
    for folder in folders or (FOLDER,):
        if not folder.is_dir():
            raise ContractError(f"There is no folder of contracts {folder}.")
        files = sorted(p for p in folder.iterdir() if p.suffix in (".yaml", ".yml") and p.name != "general.yaml")
        if not files:
            raise ContractError(f"The folder {folder} holds no contract (*.yaml).")
        forms += [form for path in files for form in read_forms(path, general["writing"])]
    _agree(forms)
    return Contracts(tuple(forms), tuple(_general_rule(r) for r in general["quality"]), general["writing"])


@functools.cache
def contracts() -> Contracts:
    """The project's own contracts and those in the folders of WAREHOUSE_CONTRACTS, read once a process."""
    return load_contracts(FOLDER, *extra_folders())


def extra_folders() -> list[Path]:
    return [Path(p) for p in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if p]


def _agree(forms: list[Form]) -> None:
    """What only shows when contracts are looked at together."""
    titles: dict[str, Form] = {}
    rules: dict[str, Form] = {}
    for form in forms:
        for title in {form.zh, *form.titles}:
            if (other := titles.setdefault(title, form)).code != form.code:
                raise ContractError(f"{form.source}: the title {title} is also that of {other.code} ({other.source})")
        for rule in form.rules:
            if (other := rules.setdefault(rule.id, form)).code != form.code:
                raise ContractError(f"{form.source}: the rule {rule.id} is also one of {other.code} ({other.source})")
    for earlier, later in itertools.combinations(sorted(forms, key=lambda f: f.valid_from), 2):
        if earlier.code == later.code:
            _agree_versions(earlier, later)


def _agree_versions(earlier: Form, later: Form) -> None:
    where = f"{later.source} and {earlier.source} ({later.code})"
    if earlier.version == later.version:
        raise ContractError(f"{where}: both are version {later.version}")
    if earlier.valid_from == later.valid_from:
        raise ContractError(f"{where}: both are valid from {later.valid_from}")
    for now in later.fields:  # both versions' rows stand in one column
        before = earlier.by_name.get(now.name)
        if before and (before.sql_type, before.unit, before.type) != (now.sql_type, now.unit, now.type):
            was, becomes = (f"{f.type} ({f.sql_type}, {f.unit or 'no unit'})" for f in (before, now))
            raise ContractError(f"{where}: {now.name} is {was} and becomes {becomes}; give the new field another name")


def _general_rule(node: dict) -> Rule:
    return Rule(node["name"], "*", node["severity"], "general", node["description"], node["text_en"], "general", {})
