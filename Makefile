# Every target sets up .venv by itself. PYTHON=python3.x chooses the interpreter (3.11 or newer).
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What opens Iroh endpoints runs where nothing but the loopback interface is.
LOOPBACK := scripts/loopback-only
export PYTHON
export DISABLE_MKDOCS_2_WARNING := true
export NO_MKDOCS_2_WARNING := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv conformance test lint format generate docs docs-serve bench build clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

venv: $(STAMP) ## set up .venv with everything a checkout needs

$(STAMP): pyproject.toml constraints.txt scripts/create-venv
	@scripts/create-venv $(VENV)
	@touch $@

conformance: $(STAMP) ## run the suite against a reference relay and daemon, over real Iroh
	@$(LOOPBACK) $(BIN)/python scripts/run_conformance.py $(ARGS)

test: $(STAMP) ## run every test (ARGS='-k name' chooses)
	@$(LOOPBACK) $(BIN)/python -m pytest $(ARGS)

lint: $(STAMP) ## ruff check, ruff format --check, mypy --strict
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict reference
	$(BIN)/mypy --strict conformance benchmarks scripts

format: $(STAMP) ## let ruff mend and format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

generate: $(STAMP) ## write the documentation pages that come from spec/ and the state table
	$(BIN)/python scripts/generate_docs.py

docs: generate ## build the documentation site into site/
	$(BIN)/mkdocs build --strict

docs-serve: generate ## serve the documentation on 127.0.0.1:8000 while it is written
	$(BIN)/mkdocs serve

bench: $(STAMP) ## run every benchmark, print the table, write build/bench.json
	@$(LOOPBACK) $(BIN)/python benchmarks/run.py $(ARGS)

build: $(STAMP) ## build wheel and source distribution into dist/
	@rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist

clean: ## remove everything that was built (not .venv)
	rm -rf build dist site htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
