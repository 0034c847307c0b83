# The interface that people, tests and CI share. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PORT ?= 8000
ENV ?= dev
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)

APP := .venv/.app
DEV := .venv/.dev
CHECK := .venv-check/.done
PLAYGROUND := .venv-playground/.done
NODE := node_modules/.package-lock.json

.PHONY: help
help:  ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1|\2/' | column -t -s '|'

# ---- set-up: each virtual environment and node_modules is made once, and again when its lock file changes ----

define venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo 'Python 3.11 or newer is needed; name one with PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(1)/bin/python || { echo 'setting up $(1)' >&2; $(PYTHON) -m venv $(1); }
endef

$(APP): requirements.txt
	$(call venv,.venv)
	@.venv/bin/python -m pip install -q --disable-pip-version-check -r requirements.txt
	@touch $@

$(DEV): requirements-infra.txt requirements-dev.txt $(APP)
	@echo 'installing the tools for infrastructure and tests' >&2
	@.venv/bin/python -m pip install -q --disable-pip-version-check -r requirements-infra.txt -r requirements-dev.txt
	@touch $@

$(CHECK): requirements-check.txt
	$(call venv,.venv-check)
	@.venv-check/bin/python -m pip install -q --disable-pip-version-check -r requirements-check.txt
	@touch $@

$(PLAYGROUND): requirements-playground.txt
	$(call venv,.venv-playground)
	@.venv-playground/bin/python -m pip install -q --disable-pip-version-check -r requirements-playground.txt
	@touch $@

$(NODE): package-lock.json .npmrc $(DEV)
	@npm ci --loglevel=error
	@touch $@

.PHONY: setup
setup: $(DEV) $(NODE)  ## install everything that tests and infrastructure need

LOCKS := requirements.txt requirements-infra.txt requirements-dev.txt requirements-check.txt requirements-playground.txt
LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock'

.PHONY: lock
lock: $(DEV)  ## compile every requirements file from pyproject.toml (UPGRADE=1 takes newer versions)
	@$(LOCK) $(if $(UPGRADE),--upgrade) --group pyproject.toml:app -o requirements.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) --group pyproject.toml:infra -c requirements.txt -o requirements-infra.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) --group pyproject.toml:dev -c requirements.txt -c requirements-infra.txt -o requirements-dev.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) --group pyproject.toml:check -o requirements-check.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) --group pyproject.toml:playground -o requirements-playground.txt

# ---- the application ----

.PHONY: run
run: $(APP)  ## serve the API on 127.0.0.1:$(PORT) with SQLite under app/data/
	@cd app && exec gunicorn --bind 127.0.0.1:$(PORT) api:app
