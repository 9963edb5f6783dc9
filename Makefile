# Every target sets up .venv by itself. PYTHON=python3.x chooses the interpreter (3.11 or newer).
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
VENV_035 := .venv-iroh-0.35
STAMP_035 := $(VENV_035)/.installed
# What opens Iroh endpoints runs where nothing but the loopback interface is.
LOOPBACK := scripts/loopback-only
export PYTHON
export DISABLE_MKDOCS_2_WARNING := true
export NO_MKDOCS_2_WARNING := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv conformance test test-kill test-acme test-iroh-0.35 lint format generate docs docs-serve docs-check bench build clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

venv: $(STAMP) ## set up .venv with everything a checkout needs

$(STAMP): pyproject.toml constraints.txt scripts/create-venv
	@scripts/create-venv $(VENV)
	@touch $@

conformance: $(STAMP) ## run the suite against a reference relay and daemon, over real Iroh
	@$(LOOPBACK) $(BIN)/python scripts/run_conformance.py $(ARGS)

test: $(STAMP) ## run every test (ARGS='-k name' chooses)
	@$(LOOPBACK) $(BIN)/python -m pytest $(ARGS)

test-iroh-0.35: $(STAMP_035) ## run the tests of the adapter and what is above it on iroh 0.35 (its own environment)
	@$(LOOPBACK) $(VENV_035)/bin/python -m pytest $(addprefix reference/tests/,iroh session https inference cli) $(ARGS)

$(STAMP_035): pyproject.toml constraints.txt scripts/create-venv
	@scripts/create-venv $(VENV_035) 0.35.0
	@touch $@

test-kill: $(STAMP) ## kill and freeze node processes at many moments (about a minute; GATE_KILL_ROUNDS=5 for more)
	@$(LOOPBACK) $(BIN)/python -m pytest -m kill reference/tests/session $(ARGS)

test-acme: $(STAMP) ## get a certificate over Iroh from a real ACME server (needs knot and pebble)
	@missing=; for tool in knotd pebble; do PATH="$$PATH:/usr/sbin" command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -n "$$missing" ]; then echo "test-acme: not installed:$$missing (Debian: apt install knot pebble)" >&2; exit 2; fi
	@$(LOOPBACK) $(BIN)/python -m pytest -m acme reference/tests/dns $(ARGS)

lint: $(STAMP) ## ruff check, ruff format --check, mypy --strict
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict reference
	$(BIN)/mypy --strict conformance benchmarks scripts

format: $(STAMP) ## let ruff mend and format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

generate: $(STAMP) docs/spec ## write what comes from requirements, schemas, vectors, cases and the state table
	$(BIN)/python scripts/generate_docs.py

docs/spec:
	@ln -s ../spec $@

docs: generate ## build the documentation site into site/
	$(BIN)/mkdocs build --strict

docs-serve: generate ## serve the documentation on 127.0.0.1:8000 while it is written
	$(BIN)/mkdocs serve

docs-check: docs ## read the built documentation: every link, and every page in Chromium
	@$(LOOPBACK) $(BIN)/python scripts/check_site.py $(ARGS)

bench: $(STAMP) ## run every benchmark, print the table, write build/bench.json
	@$(LOOPBACK) $(BIN)/python benchmarks/run.py $(ARGS)

build: $(STAMP) ## build wheel and source distribution into dist/
	@rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist

clean: ## remove everything that was built (not .venv, .venv-iroh-0.35)
	rm -rf build dist site htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
