# Everything the project needs is built here; nothing but Python 3.11+ and make is expected.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin
UV_VERSION := 0.13.9

.PHONY: install run test test-unit test-long bench lint lock audit bom licences clean

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
	@$(BIN)/uv pip compile --universal -p 3.11 --generate-hashes -q requirements-audit.in -o requirements-audit.lock

.venv-audit/.installed: requirements-audit.lock $(STAMP)
	@$(PYTHON) -m venv .venv-audit
	@VIRTUAL_ENV=.venv-audit $(BIN)/uv pip sync -q --require-hashes --python .venv-audit/bin/python requirements-audit.lock
	@touch $@

audit: .venv-audit/.installed
	@$(BIN)/python -m warehouse.supply_chain audit || { code=$$?; [ $$code -eq 3 ] && [ -z "$$AUDIT_MUST_ANSWER" ] || exit $$code; }

bom: .venv-audit/.installed
	@$(BIN)/python -m warehouse.supply_chain bom

licences: install
	@$(BIN)/python -m warehouse.supply_chain licences

clean:
	rm -rf $(VENV) dbt_project/target dbt_project/logs
