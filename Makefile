# Everything the project needs is built here; nothing but Python 3.11+ and make is expected.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin
UV_VERSION := 0.13.9

.PHONY: install run test test-unit test-long test-compose env bench lint lock clean

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

# the deployment in containers; needs a Docker engine, and root with debootstrap where no registry can be reached
test-compose: install
	@WAREHOUSE_LONG=1 $(BIN)/python -m pytest tests/end_to_end/test_compose.py -rs

# secrets of a deployment (docs/deploy.md); needs no installation
env:
	@$(PYTHON) deploy/make_env.py

bench: install
	@$(BIN)/python -m tests.benchmarks

lint: install
	@$(BIN)/ruff check .

lock:
	@$(BIN)/uv pip compile --universal -p 3.11 --generate-hashes -q requirements.in -o requirements.lock

clean:
	rm -rf $(VENV) dbt_project/target dbt_project/logs
