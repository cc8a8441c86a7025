"""A contract that cannot be used is refused, with the file's name and what is wrong."""

import shutil

import pytest

from ingestion.contract_model import ContractError
from ingestion.contracts import FOLDER, load_contracts


@pytest.fixture
def broken(tmp_path):
    """Replaces one piece of text in a copy of a contract and reads the folder."""
    shutil.copy(FOLDER / "epi01.yaml", tmp_path)
    path = tmp_path / "epi01.yaml"

    def read(old: str, new: str):
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        return load_contracts(tmp_path)

    return read


def test_whole_it_reads(broken):
    assert [f.code for f in broken("EPI01", "EPI01").forms] == ["EPI01"]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("{property: kind, value: key}", "{property: kind, value: attribute}", "key"),
        ("name: resolved", "name: affected", "same name"),
        ("schema:", "schemas:", "schema"),
        ("'2020-01-01'", "2020-13-01", "TypeError|ValueError"),
        ("severity: error", "seriousness: error", "severity"),
        ("id: EPI01", "id: [EPI01", "Error"),
    ],
)
def test_broken_it_is_named(broken, old, new, what):
    with pytest.raises(ContractError, match=rf"epi01\.yaml: .*({what})"):
        broken(old, new)
