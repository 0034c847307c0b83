# The interface that people, tests and CI share. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PORT ?= 8000
ENV ?= dev
BASE ?= origin/main
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)

UV := .venv/bin/uv
INSTALL := $(UV) pip install -q --require-hashes --python
APP := .venv/.app
DEV := .venv/.dev
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

# uv installs everything else in seconds. Like pip, it verifies the hashes in the lock files.
$(UV): requirements-dev.txt
	$(call venv,.venv)
	@sed -n '/^uv==/,/# via/p' requirements-dev.txt | .venv/bin/python -m pip install -q --disable-pip-version-check -r /dev/stdin
	@touch $@

$(APP): requirements.txt $(UV)
	@$(INSTALL) .venv/bin/python -r requirements.txt
	@touch $@

$(DEV): requirements-infra.txt requirements-dev.txt $(APP)
	@echo 'installing the tools for infrastructure and tests' >&2
	@$(INSTALL) .venv/bin/python -r requirements-infra.txt -r requirements-dev.txt
	@touch $@

$(PLAYGROUND): requirements-playground.txt $(UV)
	$(call venv,.venv-playground)
	@$(INSTALL) .venv-playground/bin/python -r requirements-playground.txt
	@touch $@

# The link makes `cdk` a command of the activated virtual environment.
$(NODE): package-lock.json .npmrc $(DEV)
	@npm ci --loglevel=error
	@ln -sf ../../node_modules/.bin/cdk .venv/bin/cdk
	@touch $@

.PHONY: setup
setup: $(DEV) $(NODE)  ## install everything that tests and infrastructure need

LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)
OUT := .

.PHONY: lock
lock: $(DEV)  ## compile every requirements file from pyproject.toml (UPGRADE=1 takes newer versions)
	@$(LOCK) --group pyproject.toml:app -o $(OUT)/requirements.txt
	@$(LOCK) --group pyproject.toml:infra -c requirements.txt -o $(OUT)/requirements-infra.txt
	@$(LOCK) --group pyproject.toml:dev -c requirements.txt -c requirements-infra.txt -o $(OUT)/requirements-dev.txt
	@$(LOCK) --group pyproject.toml:playground -o $(OUT)/requirements-playground.txt

# ---- the application ----

.PHONY: run
run: $(APP)  ## serve the API on 127.0.0.1:$(PORT) with SQLite under app/data/
	@cd app && exec gunicorn --bind 127.0.0.1:$(PORT) api:app

.PHONY: test
test: $(DEV) $(NODE) $(PLAYGROUND)  ## run every test that this machine can (ARGS=… goes to pytest)
	@python -m pytest $(ARGS)

.PHONY: quick
quick: $(DEV)  ## run the tests that need no Docker, browser or Node (ARGS=… goes to pytest)
	@python -m pytest --quick -n auto --dist worksteal $(ARGS)

.PHONY: image
image:  ## build the image as comments:latest; needs Docker
	@docker build --tag comments $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) .

.PHONY: wrk
wrk:  ## install wrk, which make bench needs, on Debian or Ubuntu
	@sudo apt-get update -q && sudo apt-get install -q --yes wrk

.PHONY: bench
bench: $(DEV) $(NODE)  ## compare the service with a bare Flask view and with Isso; needs wrk (ARGS=--quick)
	@python -m bench $(ARGS)

# ---- quality gates ----

CHECKS := check-format check-types check-locks check-files check-templates

.PHONY: check $(CHECKS)
check: $(CHECKS)  ## ruff, mypy, lock files, hadolint, actionlint, zizmor, cdk-nag, cfn-lint

check-format: $(DEV)
	@ruff check
	@ruff format --check

TYPED_TESTS := $(filter-out tests/playground,$(wildcard tests/[a-z]*))

# Two runs: the part that extends MiniStack sees its packages, which pin other versions than the application's.
check-types: $(DEV) $(PLAYGROUND)
	@mypy --python-executable .venv/bin/python --exclude playground/server \
	  app/comments app/api.py app/healthcheck.py app/gunicorn.conf.py bench infra release playground $(TYPED_TESTS)
	@mypy --python-executable .venv-playground/bin/python playground/server

check-locks: $(DEV) $(NODE)
	@fresh=$$(mktemp -d); trap 'rm -r "$$fresh"' EXIT; cp requirements*.txt "$$fresh"; \
	$(MAKE) -s lock OUT="$$fresh"; \
	for file in requirements*.txt; do diff -q "$$file" "$$fresh/$$file" >/dev/null \
	  || { echo "$$file does not follow from pyproject.toml: run make lock and commit it" >&2; exit 1; }; done
	@npm ci --dry-run --loglevel=error >/dev/null
	@echo 'lock files are in date'

check-files: $(DEV)
	@hadolint Dockerfile
	@actionlint
	@zizmor --offline --persona auditor --quiet .github

check-templates: $(DEV) $(NODE)
	@python -m infra.checks

# ---- a stage: ENV is dev, prod, playground or pr-N ----

STAGE_TOOLS := $(DEV) $(NODE)

.PHONY: synth
synth: $(STAGE_TOOLS)  ## write the templates of ENV to cdk.out, without an AWS account
	@cdk synth -c stage=$(ENV) --quiet && echo 'templates of $(ENV) are in cdk.out'

.PHONY: bootstrap
bootstrap: $(STAGE_TOOLS)  ## prepare the account of ENV, once: roles of GITHUB in infra/stages.py, CDK's bootstrap
	@python -m release.bootstrap $(ENV) $(if $(GITHUB),--github $(GITHUB))

.PHONY: diff
diff: $(STAGE_TOOLS)  ## what a deployment to ENV would change besides the image
	@python -m release.status diff $(ENV)

.PHONY: deploy
deploy: $(STAGE_TOOLS)  ## release this commit to ENV (TAG=… an image in the registry; STEP=build, push, deploy or verify)
	@python -m release $(ENV) $(if $(TAG),--tag $(TAG)) $(if $(STEP),--step $(STEP))

.PHONY: endpoint
endpoint: $(STAGE_TOOLS)  ## print the base URL of ENV
	@python -m release.status endpoint $(ENV)

.PHONY: logs
logs: $(STAGE_TOOLS)  ## the log of ENV (FOLLOW=1; QUERY='slowest routes'; REQUEST=id of an answer; ARGS='--since 2h')
	@python -m release.logs $(ENV) $(if $(QUERY),--query '$(QUERY)') $(if $(REQUEST),--request '$(REQUEST)') \
	  $(if $(FOLLOW),--follow) $(ARGS)

.PHONY: cost
cost: $(STAGE_TOOLS)  ## monthly cost of ENV by line, next to CDK's stock pattern
	@python -m infra.cost $(ENV)

.PHONY: drift
drift: $(STAGE_TOOLS)  ## what was changed in ENV outside of CloudFormation
	@python -m release.status drift $(ENV)

.PHONY: sbom
sbom: $(STAGE_TOOLS)  ## what the image of ENV consists of, as CycloneDX, to build/sbom.cdx.json
	@python -m release.sbom $(ENV)

.PHONY: report
report: $(STAGE_TOOLS)  ## what this commit changes beside BASE, and what that costs, to build/report.md too
	@python -m release.preview report $(BASE)

.PHONY: reap
reap: $(STAGE_TOOLS)  ## destroy the previews that nobody has deployed for three days
	@python -m release.preview reap

.PHONY: destroy
destroy: $(STAGE_TOOLS)  ## delete ENV and all its billable resources (prod asks for its name, or takes CONFIRM=prod)
	@python -m release.destroy $(ENV)

# ---- the playground: AWS on this machine ----

.PHONY: playground
playground: $(STAGE_TOOLS) $(PLAYGROUND)  ## bring up AWS on this machine and deploy everything to it
	@python -m playground up

.PHONY: playground-down
playground-down: $(STAGE_TOOLS) $(PLAYGROUND)  ## remove the playground and all that it left
	@python -m playground down
