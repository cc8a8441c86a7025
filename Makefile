# Everything the project needs is built here; nothing but Python 3.11+ and make is expected.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
# what cannot live with Airflow's libraries has an environment of its own
BI := .venv-bi
BI_STAMP := $(BI)/.installed
SPARK := .venv-spark
SPARK_STAMP := $(SPARK)/.installed
AUDIT := .venv-audit
AUDIT_STAMP := $(AUDIT)/.installed

.PHONY: install run bi bi-install spark-install env test test-unit test-long test-bi test-compose test-spark bench lint lock roles audit bom licences clean

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

# the dashboards (docs/bi.md)
bi-install: $(BI_STAMP)

$(BI_STAMP): bi/requirements.lock | $(STAMP)
	@$(BIN)/uv venv -q --clear -p $(BIN)/python $(BI)
	@$(BIN)/uv pip sync -q --require-hashes --compile-bytecode --python $(BI)/bin/python bi/requirements.lock
	@touch $@

bi: install bi-install
	@exec $(BIN)/warehouse bi $(ARGS)

# past one machine (docs/spark.md)
spark-install: $(SPARK_STAMP)

$(SPARK_STAMP): spark/requirements.lock | $(STAMP)
	@$(BIN)/uv venv -q --clear -p $(BIN)/python $(SPARK)
	@$(BIN)/uv pip sync -q --require-hashes --python $(SPARK)/bin/python spark/requirements.lock
	@touch $@

# secrets of a deployment (docs/deploy.md); needs no installation
env:
	@$(PYTHON) deploy/make_env.py

# a file of tests after the other on each of so many workers, which have a server each
WORKERS ?= 2
PARALLEL := -n $(WORKERS) --dist loadfile

test: install
	@$(BIN)/python -m pytest tests $(PARALLEL)

test-unit: install
	@$(BIN)/python -m pytest tests/unit tests/contracts tests/rules -m "not database and not slow and not long" $(PARALLEL)

test-long: install
	@WAREHOUSE_LONG=1 $(BIN)/python -m pytest tests

test-bi: install bi-install
	@WAREHOUSE_LONG=1 $(BIN)/python -m pytest tests/end_to_end/test_bi.py

test-spark: install spark-install
	@WAREHOUSE_LONG=1 $(BIN)/python -m pytest tests/end_to_end/test_spark.py

# the deployment in containers; needs a Docker engine, and root with debootstrap where no registry can be reached
test-compose: install
	@WAREHOUSE_LONG=1 $(BIN)/python -m pytest tests/end_to_end/test_compose.py -rs

bench: install
	@$(BIN)/python -m tests.benchmarks

lint: install
	@$(BIN)/ruff check .

lock:
	@$(BIN)/uv pip compile --universal -p 3.11 --generate-hashes -q requirements.in -o requirements.lock
	@$(BIN)/uv pip compile --universal -p 3.11 --generate-hashes -q requirements-audit.in -o requirements-audit.lock
	@$(BIN)/uv pip compile --universal -p 3.11 --generate-hashes -q spark/requirements.in -o spark/requirements.lock
	@$(BIN)/uv pip compile -p 3.11 --exclude-newer 2026-05-14T00:00:00Z --generate-hashes -q bi/requirements.in -o bi/requirements.lock

# docs/roles.md says what the roles' test tried
roles: install
	@WAREHOUSE_WRITE_DOCS=1 $(BIN)/python -m pytest -q tests/integration/test_roles.py::test_the_page_says_what_was_tried

$(AUDIT_STAMP): requirements-audit.lock | $(STAMP)
	@$(BIN)/uv venv -q --clear -p $(BIN)/python $(AUDIT)
	@$(BIN)/uv pip sync -q --require-hashes --python $(AUDIT)/bin/python requirements-audit.lock
	@touch $@

audit: $(AUDIT_STAMP)
	@$(BIN)/python -m warehouse.supply_chain audit || { code=$$?; [ $$code -eq 3 ] && [ -z "$$AUDIT_MUST_ANSWER" ] || exit $$code; }

bom: $(AUDIT_STAMP)
	@$(BIN)/python -m warehouse.supply_chain bom

licences: install
	@$(BIN)/python -m warehouse.supply_chain licences

clean:
	rm -rf $(VENV) $(BI) $(SPARK) $(AUDIT) dbt_project/target dbt_project/logs
