# make demo: set up, then the whole story on real data.   make test: set up, then every check.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
BIN := .venv/bin
# pip is asked once for uv; uv installs everything else from the lock, with hashes.
UV_VERSION := 0.13.9
UV := .setup/uv/bin/uv
STAMP := .setup/$(shell cat requirements.lock pyproject.toml lakehouse/engine/jars.py lakehouse/engine/java.py lakehouse/engine/install.py Makefile | sha256sum | cut -c1-16).done
# Nothing of ours, and nothing we use, reports home.
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export DO_NOT_TRACK := 1
export NO_MKDOCS_2_WARNING := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup demo test lint unit servers test-slow test-faults test-browser sbom docs lock clean clean-warehouse

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: $(STAMP)  ## virtual environment and JARs; skipped when nothing changed

$(STAMP): requirements.lock pyproject.toml
	@echo "── set-up: checking this machine"
	@bash scripts/check-machine.sh "$(PYTHON)"
	@echo "── set-up 1/3: Python packages from requirements.lock (half a minute, 7 GB)"
	@test -x $(UV) || $(PYTHON) -m venv .setup/uv
	@.setup/uv/bin/pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@test -x $(BIN)/python || $(UV) venv --quiet --python "$(PYTHON)" .venv
	@$(UV) pip sync --python $(BIN)/python --require-hashes requirements.lock
	@echo "── set-up 2/3: this project, editable"
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@echo "── set-up 3/3: Delta's JARs, by checksum, and an archive of the engine's classes (a minute)"
	@$(BIN)/python -m lakehouse.engine.install
	@$(BIN)/pyright --version >/dev/null
	@rm -f .setup/*.done && touch $(STAMP)
	@echo "── set-up done"

demo: setup  ## the whole story on real flights, from landing files to reproduced training sets
	@lakehouse doctor
	@lakehouse demo

test: setup servers lint unit  ## every check

lint: setup  ## ruff, pyright, import rules, sqlfluff, dbt parse, docs
	@echo "── ruff";        ruff check . && ruff format --check .
	@echo "── pyright";     pyright
	@echo "── import rules"; lint-imports
	@echo "── sqlfluff";    sqlfluff lint --disable-progress-bar dbt_project
	@echo "── dbt parse";   dbt --quiet parse
	@echo "── docs";        mkdocs build --strict

unit: setup servers
	@echo "── pytest"; pytest -m "not slow and not browser"

servers:  ## what tests need beside set-up: PostgreSQL and Redis from Debian, where they lack
	@scripts/install-servers.sh

test-slow: setup servers  ## fault and scale tests that take minutes; SHARE="tests/…" runs some of them
	@pytest -m slow $(SHARE)

test-faults: setup  ## processes killed and frozen at random moments, counted; TIMES=20 SEED=0, an hour
	@python -m tests.faults.campaign --times $(or $(TIMES),20) --seed $(or $(SEED),0)

test-browser: setup  ## tests that look at the UIs with Chromium
	@pytest -m browser

sbom: setup  ## what an image holds of others, as CycloneDX, in target/sbom.json
	@mkdir -p target && python deploy/container/sbom.py >target/sbom.json && echo target/sbom.json

docs: setup  ## the documentation as a site, in site/index.html
	@mkdocs build --strict

COMPILE = $(UV) pip compile --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --quiet
lock: setup  ## compile requirements.lock and those of deploy/ anew, with hashes and without any index's address
	@$(COMPILE) pyproject.toml --all-extras --output-file requirements.lock
	@for each in deploy/*/*.in; do $(COMPILE) "$$each" --output-file "$${each%.in}.lock"; done

clean:  ## remove what dbt and the tests left in this folder; data and set-up stay
	@rm -rf target logs site .pytest_cache .ruff_cache .hypothesis .import_linter_cache

clean-warehouse:  ## delete the warehouse with all its data, after a question; CONFIRM=warehouse answers it
	@bash scripts/clean-warehouse.sh "$(CONFIRM)"
