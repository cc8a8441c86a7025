"""What several files of the unit tests share."""

import pytest

from ingestion.contracts import load_contracts
from tests.unit import yearbook


@pytest.fixture(scope="session")
def known(tmp_path_factory):
    """The contracts of a few tables of a yearbook."""
    folder = tmp_path_factory.mktemp("contracts")
    for number, (name, (title, properties)) in enumerate(yearbook.TABLES.items(), 1):
        yearbook.write_contract(folder, name, number, title, properties)
    return load_contracts(folder)
