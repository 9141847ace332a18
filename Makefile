# Every target works as the first command on a fresh clone: Python 3.11 to 3.13, make and git are enough. The tests in
# tests/fhir and tests/pages need Node 20 and Chromium besides, installed from Debian where they lack and that may be.
# PYTHON=python3.13 chooses the interpreter, PORT= the port, T= what to test.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
PORT ?= 8000
T ?=
BIN := .venv/bin
RUN_STAMP := .venv/.installed
DEV_STAMP := .venv/.installed-dev
NODE_STAMPS := $(patsubst %,tests/%/node_modules/.installed,fhir pages)
# A worker more than there are processors: many tests wait for a process or a database that starts.
JOBS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 1)))

.DEFAULT_GOAL := help
# Node and Chromium are of use to a whole run, and to what is asked of tests/fhir and tests/pages.
ENGINES := $(if $(filter-out tests/fhir% tests/pages%,$(T)),,browser $(NODE_STAMPS))
.PHONY: help setup browser demo serve test test-long check bench openapi lock format changelog clean

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

$(NODE_STAMPS): %/node_modules/.installed: %/package-lock.json %/package.json %/.npmrc
	@scripts/debian_package npm nodejs npm
	@if ! command -v npm >/dev/null; then echo "without Node 20 or newer the tests in $* are skipped"; \
	  else cd $* && npm ci --loglevel=error && touch node_modules/.installed; fi

browser:
	@for name in chromium-browser google-chrome google-chrome-stable; do command -v $$name >/dev/null && exit; done; \
	  scripts/debian_package chromium chromium

setup: $(DEV_STAMP) $(NODE_STAMPS) browser  ## the environment with everything tests and checks need

demo: $(RUN_STAMP)  ## a synthetic clinic, served on 127.0.0.1:PORT
	$(BIN)/fathomline demo --port $(PORT)

serve: $(RUN_STAMP)  ## the same service, empty, with keys made in the data folder
	FATHOMLINE_GENERATE_MASTER_KEY=true FATHOMLINE_DEVELOPMENT_ISSUER=true $(BIN)/fathomline serve --port $(PORT)

test: $(DEV_STAMP) $(ENGINES)  ## all tests; T=tests/scoring runs a part, without coverage
ifeq ($(T),)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not long" -p tests.measured --cov --cov-report=term --cov-report=json:.coverage.json
	$(BIN)/python -m scripts.branches .coverage.json scoring instruments
else
	$(BIN)/python -m pytest -m "not long" $(T)
endif

test-long: $(DEV_STAMP) $(ENGINES)  ## what takes longer than the gate allows: kills under load, mutation, long fuzzing
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -m "long or costly" -n 1 $(T)
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
	rm -rf .venv $(NODE_STAMPS:/.installed=) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* mutants
