# One word for each thing to do; the first run makes a virtual environment, later ones start at once.
#   make demo            see it work, without Docker or Java    (LOG=events.jsonl replays your own log)
#   make check           what CI runs: style, types, layers, every test
#   make test            every test, real Kafka included (JDK 17 and Maven)
#   make docs            write the generated pages and dashboards again
#   make page            check the live page and build it again (Node 20)
#   make bench           the measurements of tests/bench, one after the other
#   make clean           remove what was built and cached here

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := demo
.PHONY: demo check lint types layers test docs page bench clean

VENV := .venv
BIN := $(VENV)/bin
USE := $(VENV)/.installed
DEVELOP := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
DEMO := $(if $(LOG),--log "$(LOG)") $(DEMO_OPTIONS)

demo: $(USE)
	@$(BIN)/rillet demo $(DEMO)

check: lint types layers test

lint: $(DEVELOP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEVELOP)
	$(BIN)/mypy

layers: $(DEVELOP)
	$(BIN)/lint-imports

test: $(DEVELOP)
	$(BIN)/pytest -n 2 --dist loadfile

docs: $(DEVELOP)
	@$(BIN)/rillet settings --markdown > docs/settings.md
	@$(BIN)/rillet topics describe --write .
	@$(BIN)/python -m streams.metrics_page > docs/metrics.md
	@$(BIN)/python -m streams.features_page > docs/features.md
	@$(BIN)/python -m streams.log.mapping_page > docs/mapping.md
	@$(BIN)/python -m streams.dashboards deploy
	@$(BIN)/python -m streams.api.openapi_page > docs/openapi.json

page: streams/page/node_modules/.package-lock.json
	cd streams/page && npm run --silent check && npm run --silent build

streams/page/node_modules/.package-lock.json: streams/page/package-lock.json
	cd streams/page && npm ci --silent --ignore-scripts
	cd streams/page && touch node_modules/.package-lock.json

bench: $(DEVELOP)
	@for bench in tests/bench/*.py; do echo "== $$bench"; PYTHONPATH=tests/support $(BIN)/python "$$bench"; done

clean:
	rm -rf $(VENV) streams/page/node_modules build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .rillet
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(USE): pyproject.toml | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(DEVELOP): pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[dev,embed,otel]'
	@touch $@ $(USE)

$(BIN)/python:
	@for python in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    "$$python" -m venv $(VENV) && exit 0; \
	    echo "error: $$python cannot make a virtual environment (Debian: apt install python3-venv)" >&2; exit 1; \
	  fi; \
	done; \
	echo "error: Python 3.11 or later is needed and not on the PATH; name one with: make PYTHON=/path/to/python3" >&2; \
	exit 1
