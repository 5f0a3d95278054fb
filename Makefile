# What one does with onefold from its source. `make demo` runs it, `make test` proves it.
#
# Nothing but Debian, Rust and Python is expected to be there. What is missing besides is installed: the client tests'
# packages into .venv, dbt into .venv-dbt, drivers of Node.js beside their tests, psql and drivers of Java and ODBC by apt
# where that is allowed. CARGO_TARGET_DIR is respected; without it cargo uses target/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

CARGO ?= cargo
PYTHON ?= python3
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
NODE := tests/clients/node
DBT := .venv-dbt
SUPERSET := .venv-superset
SQLALCHEMY := .venv-sqlalchemy
# The binary that clients talk to. Whoever names another has built it.
ONEFOLD_BINARY ?= $(TARGET)/debug/onefold

TOOLS ?= $(HOME)/.cache/onefold/tools
DENY_VERSION := 0.20.2
DENY := $(TOOLS)/cargo-deny-$(DENY_VERSION)/bin/cargo-deny

.PHONY: help demo demo-check test test-rust test-clients test-long test-superset test-sqlalchemy test-binary bench bench-identity lint fmt clippy doc deny psql drivers release clean-venv

help: ## lists what can be made
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

demo: release ## builds onefold and runs the demo until Ctrl-C
	@exec $(TARGET)/release/onefold demo

demo-check: release ## holds the demo to its 10 seconds and 20 lines
	@$(PYTHON) tests/demo_check.py $(TARGET)/release/onefold

release:
	$(CARGO) build --release --locked --package sql --bin onefold

test: test-rust test-clients ## runs every test, the real binary's included

test-rust: $(VENV)/installed psql
	$(CARGO) test --workspace --locked

# After the tests in Rust, which build the binary that the clients talk to.
test-clients: test-rust drivers $(NODE)/node_modules/.package-lock.json $(DBT)/installed
	ONEFOLD_BINARY=$(ONEFOLD_BINARY) $(VENV_PYTHON) -m pytest tests/clients

test-long: ## runs without a sample what `test` takes samples of
	ONEFOLD_LONG_TESTS=1 $(CARGO) test --workspace --locked --bin onefold before_login

# Two checks for every night: they install much, or run long.
test-superset: test-binary psql $(SUPERSET)/installed ## runs Apache Superset over the example shop
	ONEFOLD_BINARY=$(ONEFOLD_BINARY) $(SUPERSET)/bin/python -m pytest tests/superset

test-sqlalchemy: test-binary $(SQLALCHEMY)/installed ## runs SQLAlchemy's own suite for dialects
	ONEFOLD_BINARY=$(ONEFOLD_BINARY) $(SQLALCHEMY)/bin/python -m pytest -c tests/sqlalchemy_suite/setup.cfg tests/sqlalchemy_suite

# As the tests in Rust build it, whose features are those of the whole workspace.
test-binary:
	@[ "$(ONEFOLD_BINARY)" != "$(TARGET)/debug/onefold" ] || $(CARGO) test --workspace --locked --no-run

bench: release $(VENV)/installed ## measures, and prints what it measured
	$(VENV_PYTHON) bench/run.py

bench-identity: ## measures the matching of people beside Splink, on labelled data
	$(PYTHON) bench/identity.py

lint: fmt clippy doc deny ## format, clippy, documentation, dependencies

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

# `--examples`, of which there are none, takes the dependencies' features as clippy does, so that they are not checked twice.
doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --lib --bins --examples --no-deps --document-private-items --locked

# The advisories are left out: their database would have to be downloaded.
deny: $(DENY)
	$(CARGO) fetch --locked --quiet
	$(DENY) --offline --locked check bans licenses sources

# Without optimisation: it runs for seconds, and a build with it for minutes.
$(DENY):
	$(CARGO) install --quiet --debug --locked --root $(TOOLS)/cargo-deny-$(DENY_VERSION) cargo-deny --version $(DENY_VERSION)

# Debian keeps `venv` in a package of its own.
$(VENV)/installed: tests/requirements.txt
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV); \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "python's venv is missing: install the package python3-venv" >&2; exit 1; }; \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv && $(PYTHON) -m venv $(VENV); }
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement tests/requirements.txt
	@touch $@

$(DBT)/installed: tests/clients/dbt/requirements.txt $(VENV)/installed
	@rm -rf $(DBT)
	@$(PYTHON) -m venv $(DBT)
	$(DBT)/bin/pip install --quiet --disable-pip-version-check --requirement tests/clients/dbt/requirements.txt
	@touch $@

$(SUPERSET)/installed: tests/superset/requirements.txt $(VENV)/installed
$(SQLALCHEMY)/installed: tests/sqlalchemy_suite/requirements.txt $(VENV)/installed
$(SUPERSET)/installed $(SQLALCHEMY)/installed:
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $< \
	  || { echo "$< cannot be installed with $$($(PYTHON) --version): the lines above say why, and nothing was tested" >&2; exit 1; }
	@touch $@

# The client that is tested, and the server that answers are held against.
psql:
	@command -v psql >/dev/null && [ -x /usr/lib/postgresql/15/bin/initdb ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && { apt-get install -y -qq --no-install-recommends postgresql-15 postgresql-client-15 \
	    || apt-get install -y -qq --no-install-recommends postgresql-client; }; \
	else echo "psql or PostgreSQL 15 is not here and cannot be installed without root: their tests say so and are passed over"; fi

# Drivers that are not Python's, and the JDK that runs one of them. What cannot be installed is not tested, and its test
# says so.
drivers:
	@missing=""; \
	[ -f /usr/share/java/postgresql.jar ] || missing="$$missing libpostgresql-jdbc-java"; \
	command -v javac >/dev/null || missing="$$missing default-jdk-headless"; \
	ls /usr/lib/*/odbc/psqlodbcw.so >/dev/null 2>&1 || missing="$$missing odbc-postgresql"; \
	ls /usr/lib/*/libodbc.so.2 >/dev/null 2>&1 || missing="$$missing libodbc2"; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing && exit 0; \
	fi; \
	echo "$$missing cannot be installed: the tests of these drivers say so and are passed over"

# Without Node.js there is nothing to install for it.
$(NODE)/node_modules/.package-lock.json: $(NODE)/package-lock.json
	@if command -v npm >/dev/null && npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund --silent; then touch $@; \
	else echo "drivers of Node.js cannot be installed: their tests say so and are passed over"; fi

clean-venv:
	rm -rf $(VENV) $(DBT) $(SUPERSET) $(SQLALCHEMY)
