# Everything the project needs is built here; nothing but Python 3.11+ and make is expected.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin
UV_VERSION := 0.13.9

.PHONY: install run bi bi-install test test-unit test-long test-bi bench lint lock clean

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else "Python 3.11, 3.12 or 3.13 is needed; set PYTHON=/path/to/python3")'
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: on Debian install the package python3-venv"; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync -q --require-hashes --compile-bytecode --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

run: install
	@exec $(BIN)/warehouse run $(ARGS)

# Superset needs older libraries than Airflow: an environment of its own
BI := .venv-bi
BI_PYTHON ?= $(BIN)/python
BI_STAMP := $(BI)/.installed
bi-install: $(BI_STAMP)

$(BI_STAMP): bi/requirements.lock | $(STAMP)
	@$(BI_PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 13) else "Superset needs Python 3.11 or 3.12; set BI_PYTHON=/path/to/python3.11")'
	@$(BIN)/uv venv -q --clear --no-python-downloads -p $(BI_PYTHON) $(BI)
	@$(BIN)/uv pip sync -q --require-hashes --compile-bytecode --python $(BI)/bin/python bi/requirements.lock
	@touch $@

bi: install bi-install
	@exec $(BIN)/warehouse bi $(ARGS)

test-bi: install bi-install
	@WAREHOUSE_LONG=1 $(BIN)/python -m pytest tests/end_to_end/test_bi.py

test: install
	@$(BIN)/python -m pytest tests

test-unit: install
	@$(BIN)/python -m pytest tests/unit tests/contracts tests/rules -m "not database and not slow and not long"

test-long: install
	@WAREHOUSE_LONG=1 $(BIN)/python -m pytest tests

bench: install
	@$(BIN)/python -m tests.benchmarks

lint: install
	@$(BIN)/ruff check .

lock:
	@$(BIN)/uv pip compile --universal -p 3.11 --generate-hashes -q requirements.in -o requirements.lock
	@$(BIN)/uv pip compile -p 3.11 --exclude-newer 2026-05-14T00:00:00Z --generate-hashes -q bi/requirements.in -o bi/requirements.lock

clean:
	rm -rf $(VENV) $(BI) dbt_project/target dbt_project/logs
