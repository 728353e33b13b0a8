# Dossier. A machine needs Python 3.11 or newer and make; everything else comes into .venv and node_modules.
#
#   make demo    the main job on this machine: local AWS, sandbox, three cases, what landed in S3
#   make test    every test (make check first)
#   make check   lint, types, rules
#   make chaos   300 cases under every fault at 20 %, a crash at every external call; writes docs/reliability.md
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONDONTWRITEBYTECODE :=
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.PHONY: setup demo test check chaos clean

setup: .venv/.ready node_modules/.ready

.venv/.ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Dossier needs Python 3.11 or newer as $(PYTHON): call make PYTHON=python3.11"; exit 1; }
	@echo "setting up the virtual environment (.venv; about a minute, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

node_modules/.ready: package.json package-lock.json .venv/.ready
	@echo "setting up the CDK CLI (node_modules)"
	@$(BIN)/npm ci --silent --no-audit --no-fund
	@touch $@

demo: setup
	@$(BIN)/python -m local.demo

check: setup
	@echo "ruff";          $(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
	@echo "mypy";          $(BIN)/mypy --no-error-summary app.py infra cli local layers/shared/python/dossier
	@for handler in functions/*/handler.py; do $(BIN)/mypy --no-error-summary $$handler || exit 1; done
	@echo "import rules";  $(BIN)/lint-imports --no-cache --config .importlinter > .import-rules.log || { cat .import-rules.log; exit 1; }
	@rm -f .import-rules.log

test: check
	@echo "pytest"
	@$(BIN)/python -m pytest

chaos: setup
	@DOSSIER_CRASH_STRIDE=1 $(BIN)/python -m pytest tests/steps --timeout 3000
	@DOSSIER_CHAOS_CASES=300 DOSSIER_CHAOS_RATE=0.2 DOSSIER_CHAOS_SECONDS=2400 DOSSIER_SCORECARD=docs/reliability.md \
	  $(BIN)/python -m pytest tests/chaos

clean:
	@rm -rf .venv .venv-local .venv-functions node_modules build cdk.out .dossier
