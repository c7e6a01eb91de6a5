# Everything that a person or CI runs here. Only Python 3.11+ and make are expected of the machine: Node.js comes as a
# Python package, and it and all the tools are first on PATH. `.venv/ready` says that set-up ended well with these very
# requirements; while it runs, `.venv/unfinished` says that it did not, and the next run starts it over. The Lambda
# packages' wheels are fetched here, because all that is local then runs in an environment that is built from nothing.

PYTHON ?= python3
PYTEST := .venv/bin/python -m pytest
LOCALCLOUD := .venv/bin/python -m localcloud
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)

WHEELS := .venv/bin/python -m holiday_stack.bundling
REQUIREMENTS := requirements.txt requirements-dev.txt lambdas/requirements.txt constraints.txt package.json package-lock.json
# What a caller's shell may hold, and the project's own Python must not see.
unexport PYTHONPATH PYTHONHOME PYTHONSAFEPATH

.DEFAULT_GOAL := help
.PHONY: help setup up down demo trip serve synth check test test-all chaos bench format update

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | awk -F '\t' '{ printf "  make %-10s %s\n", $$1, $$2 }'

setup: .venv/ready ## install what is pinned: Python packages into .venv, Node.js packages into node_modules
	@$(WHEELS) host

up: .venv/ready ## start the local cloud and deploy the stack into it; on a running one, deploy again
	@$(WHEELS) host
	@$(LOCALCLOUD) up

down: ## stop the local cloud and delete its data
	@if [ -x .venv/bin/python ]; then $(LOCALCLOUD) down; else echo "Nothing is set up, so nothing runs."; fi

demo: .venv/ready ## make up, then book seven trips and show what came of them
	@$(WHEELS) host
	@$(LOCALCLOUD) demo

trip: .venv/ready ## follow one trip through the logs of all four functions: ID=<trip id>, by default the demo's
	@$(LOCALCLOUD) trip $${ID:+-- "$$ID"}

serve: .venv/ready ## run the four services in one local process on :9080, reloading, until Ctrl-C
	@$(WHEELS) host
	@$(LOCALCLOUD) serve

synth: .venv/ready ## synthesize the stack's templates, without an AWS account
	@$(WHEELS) lambda
	@$(LOCALCLOUD) synth

check: .venv/ready ## format, lint and types
	ruff format --check --no-cache
	ruff check --no-cache
	pyright

format: .venv/ready ## format, and correct what the linter can
	ruff format
	ruff check --fix

test: .venv/ready ## the tests of every change
	@$(WHEELS) host lambda lambda-3.12 lambda-3.14
	$(PYTEST) -m "not slow" tests/unit tests/stack tests/saga tests/deploy tests/faults tests/comparison

test-all: .venv/ready .venv/bench ## the slow tests
	@$(WHEELS) host lambda
	$(PYTEST) -m slow tests

chaos: .venv/ready ## book 20000 trips with mixed faults (half an hour); CHAOS="--trips 500 --seed 7" for others
	@.venv/bin/python -m tests.faults.chaos $(CHAOS)

bench: .venv/ready .venv/bench ## the saga beside its Step Functions version, measured: docs/comparison.md and the README's table
	@$(WHEELS) host
	@.venv/bin/python -m comparison.bench $(BENCH)

.venv/bench: .venv/ready requirements-bench.txt
	@echo "Installing what the benchmark needs: a line counter, a plotter (about 10 s)"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt -c constraints.txt >.local/setup.log 2>&1 \
		|| { tail -n 5 .local/setup.log; echo "The Python packages could not be installed; the log is .local/setup.log"; exit 1; }
	@touch $@

update: .venv/ready ## pin the newest versions of everything, and show what changed (about a minute)
	@.venv/bin/python pins.py

.venv/ready: $(REQUIREMENTS)
	@$(PYTHON) -c '' 2>/dev/null || { echo "There is no $(PYTHON) here: install Python 3.11 or newer, or name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than Python 3.11: name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments: install its venv package (Debian, Ubuntu: apt install python3-venv), then run make again."; exit 1; }
	@mkdir -p .local
	@! kill -0 $$(cat .local/setup.pid 2>/dev/null) 2>/dev/null || { echo "Another set-up runs here (process $$(cat .local/setup.pid)): run this again when it has ended."; exit 1; }
	@echo $$PPID >.local/setup.pid
	@[ ! -e .venv/unfinished ] && .venv/bin/python -m pip --version >/dev/null 2>&1 || rm -rf .venv
	@[ -d .venv ] || { mkdir .venv && touch .venv/unfinished && echo "Making the virtual environment" && $(PYTHON) -m venv .venv; }
	@rm -f .venv/ready; touch .venv/unfinished
	@echo "Installing Python packages: the CDK, Restate's SDK, the AWS emulator, the tests' tools (about 40 s)"
	@{ .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt \
		&& .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r lambdas/requirements.txt; } >.local/setup.log 2>&1 \
		|| { tail -n 5 .local/setup.log; echo "The Python packages could not be installed; the log is .local/setup.log"; exit 1; }
	@echo "Installing Node.js packages: the CDK's command, the Restate server, the type checker (about 10 s)"
	@npm ci --no-progress --loglevel=error >>.local/setup.log 2>&1 \
		|| { tail -n 5 .local/setup.log; echo "The Node.js packages could not be installed; the log is .local/setup.log"; exit 1; }
	@mv .venv/unfinished .venv/ready; rm .local/setup.pid
