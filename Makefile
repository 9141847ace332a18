# Every target works as the first command on a fresh clone: Python 3.11 to 3.13, make and git are enough.
# PYTHON=python3.13 chooses the interpreter, PORT= the port, T= what to test.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
PORT ?= 8000
T ?=
BIN := .venv/bin
RUN_STAMP := .venv/.installed
DEV_STAMP := .venv/.installed-dev
JOBS ?= auto

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-long check bench openapi lock format changelog clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(RUN_STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and none was found; say which with PYTHON="; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_STAMP): requirements-dev.lock $(RUN_STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(DEV_STAMP)  ## the environment with everything tests and checks need

demo: $(RUN_STAMP)  ## a synthetic clinic, served on 127.0.0.1:PORT
	$(BIN)/fathomline demo --port $(PORT)

serve: $(RUN_STAMP)  ## the same service, empty, with keys made in the data folder
	FATHOMLINE_GENERATE_MASTER_KEY=true FATHOMLINE_DEVELOPMENT_ISSUER=true $(BIN)/fathomline serve --port $(PORT)

test: $(DEV_STAMP)  ## all tests; T=tests/scoring runs a part, without coverage
ifeq ($(T),)
	$(BIN)/python -m pytest -n $(JOBS) -m "not long" --cov --cov-report=term --cov-report=json:.coverage.json
	$(BIN)/python -m scripts.branches .coverage.json scoring instruments
else
	$(BIN)/python -m pytest -m "not long" $(T)
endif

test-long: $(DEV_STAMP)  ## what takes longer than the gate allows: kills under load, mutation, long fuzzing
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -m long -n 1 $(T)
	$(BIN)/python -m scripts.mutation

check: $(DEV_STAMP)  ## lint, types, architecture, migrations, contract, docs, secrets
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/fathomline instruments check
	$(BIN)/python -m scripts.openapi --check
	$(BIN)/python -m scripts.check_migrations
	$(BIN)/python -m scripts.check_docs
	$(BIN)/python -m scripts.check_secrets

bench: $(DEV_STAMP)  ## every benchmark, as ratios
	$(BIN)/python -m benchmarks

openapi: $(DEV_STAMP)  ## write openapi.json and the definitions' JSON Schema anew
	$(BIN)/python -m scripts.openapi
	$(BIN)/fathomline instruments schema > instruments/instrument.schema.json
	$(BIN)/fathomline instruments schema --listed > instruments/listed.schema.json

format: $(DEV_STAMP)  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:  ## pin the newest versions that fit (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -q -o requirements.lock
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url -q -c requirements.lock -o requirements-dev.lock

changelog: $(DEV_STAMP)  ## what the next release's notes would say
	$(BIN)/towncrier build --draft --version next

clean:  ## remove what was built, not the data
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* mutants
