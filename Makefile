# One target for each job; `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/dev.lock
INSTALLED := $(VENV)/.installed

# uv writes the lock and is needed for nothing else, so it lives apart from what it locks.
LOCKER := build/lock
UV := uv==0.13.9

# Workers of pytest share the cores: one thread of linear algebra each. One more than cores, since tests of services and
# of whole commands wait half of their time.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
TEST_ENV := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# DATA holds a folder a data set, each with train.jsonl and test.jsonl. Contestants run one after another, one thread
# each, so that their seconds can be compared; two cores run two commands side by side.
BENCH := $(TEST_ENV) $(BIN)/python -m benchmarks
BENCH_OPTIONS ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all bench bench-small format lock clean check-python check-data

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS='	' read -r name what; do printf 'make %-11s  %s\n' "$$name" "$$what"; done

install: $(INSTALLED) ## make .venv with the locked versions and this package, editable

demo: $(INSTALLED) ## label a real task with a simulated expert and write demo-run/report.html
	$(BIN)/vermilion demo

test: $(INSTALLED) ## everything that must pass: format, lint, types, tests, doctests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(TEST_ENV) $(BIN)/pytest -n $(WORKERS) --maxprocesses 8

test-all: $(INSTALLED) ## the same with the tests that take long
	$(TEST_ENV) $(BIN)/pytest -n $(WORKERS) --maxprocesses 8 --thorough

bench: $(INSTALLED) check-data ## every benchmark with its peers, for hours: make bench DATA=folder; goes on where it was stopped
	$(BENCH) cost $(DATA) $(BENCH_OPTIONS)
	$(BENCH) ablation $(DATA)
	$(BENCH) speed $(DATA)
	$(BENCH) scale $(DATA)
	$(BENCH) worst $(DATA)
	$(BENCH) guarantees
	$(BENCH) page

bench-small: $(INSTALLED) check-data ## the benchmark of cost in minutes, with all contestants: make bench-small DATA=folder
	$(BENCH) cost $(DATA) --small $(BENCH_OPTIONS)

format: $(INSTALLED) ## put the code in its one format and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: check-python ## resolve pyproject.toml anew into requirements/dev.lock
	test -x $(LOCKER)/bin/uv || { $(PYTHON) -m venv $(LOCKER) && $(LOCKER)/bin/pip install --quiet '$(UV)'; }
	$(LOCKER)/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-header --quiet --output-file $(LOCKER)/dev.lock
	{ sed -n '/^#/!q;p' $(LOCK); cat $(LOCKER)/dev.lock; } > $(LOCKER)/with-header.lock
	mv $(LOCKER)/with-header.lock $(LOCK)

clean: ## remove what the other targets made, .venv included
	rm -rf $(VENV) build dist demo-run .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

check-data:
	@test -d '$(DATA)' || { echo 'make: name the folder of the data sets with DATA=folder' >&2; exit 1; }

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo 'make: Python 3.11 or newer is needed, $(PYTHON) is' "$$( ($(PYTHON) --version) 2>/dev/null || echo missing); name another with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv' 2>/dev/null \
		|| { echo 'make: $(PYTHON) has no module venv; install it (Debian: apt-get install python3-venv)' >&2; exit 1; }

# Debian packs ensurepip apart from Python. Where it is missing, the pip beside $(PYTHON) fills the environment.
$(INSTALLED): $(LOCK) pyproject.toml | check-python
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
		$(PYTHON) -m venv $(VENV) && pip='$(BIN)/python -m pip'; \
	elif $(PYTHON) -c 'import pip' 2>/dev/null; then \
		$(PYTHON) -m venv --without-pip $(VENV) && pip='$(PYTHON) -m pip --python $(BIN)/python'; \
	else \
		echo 'make: $(PYTHON) has neither ensurepip nor pip; install one (Debian: apt-get install python3-venv)' >&2; exit 1; \
	fi \
	&& echo 'installing the versions in $(LOCK) into $(VENV)' \
	&& $$pip install --quiet --no-compile --require-hashes --requirement $(LOCK) \
	&& $$pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
