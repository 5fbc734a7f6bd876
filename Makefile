# Every target sets up what it needs; `make` alone lists them. Needs Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := libs/events libs/service services/invoice-svc services/scheduler-svc services/notifier-svc services/escalation-svc libs/local
SOURCES := $(addsuffix /src,$(PACKAGES))
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Every start would compile the sources anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup dev run test chaos bench check audit fmt kafka topics migrate schemas lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Remit needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing: install it (Debian: apt-get install python3-venv) and run make again"; exit 2; }

define install_packages
$(PIP) install --no-deps --no-build-isolation $(addprefix -e ./,$(PACKAGES))
endef

$(VENV)/.run: $(VENV)/pyvenv.cfg requirements.lock $(addsuffix /pyproject.toml,$(PACKAGES))
	@echo "Setting up $(VENV) (a minute or two, once)"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(install_packages)
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	@echo "Adding the development tools to $(VENV)"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(VENV)/.run ## Make .venv with `remit` in it
dev: $(VENV)/.dev ## Make .venv with the tools of test and check in it too

run: setup ## Start everything on this machine: PostgreSQL, four services, mailbox, sample (INVOICES=file.csv for yours)
	@$(if $(EVENTS_URL),EVENTS_URL='$(EVENTS_URL)') $(BIN)/remit run $(if $(INVOICES),--invoices '$(INVOICES)') $(RUN_FLAGS)

test: dev ## Run all tests (with real Kafka where a JDK and Maven are found)
	@$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder $(TEST_FLAGS)

chaos: dev ## Every round of races and crashes on real peers, one line per invariant (SEED=n); takes hours
	@REMIT_REQUIRE_KAFKA=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile --full --invariants $(if $(SEED),--seed $(SEED)) --figures chaos.json $(CHAOS_FLAGS)

bench: dev ## Each path beside its peer or its limit, into bench/results/ and docs/ (PATHS="sweeping growth"); an hour or two
	@PYTHONPATH=bench:tests/support $(BIN)/python -m remit_bench $(PATHS) --check >/dev/null
	@PYTHONPATH=bench:tests/support $(BIN)/python -m remit_bench $(PATHS) $(BENCH_FLAGS)

check: dev ## Lint, types, import walls, drift of schemas, problems and migrations; changes nothing
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m remit_events.schemas --check
	@$(BIN)/python -m remit_local.problem_types --check
	@$(BIN)/remit migrate --check

audit: $(VENV)/pyvenv.cfg ## Known holes in the pinned packages, else how old the locks are (AUDIT_FLAGS="--ignore-vuln ID")
	@test -x .cache/audit/bin/pip-audit || { $(PYTHON) -m venv .cache/audit && .cache/audit/bin/python -m pip --quiet install pip-audit; } >/dev/null 2>&1 || true
	@$(BIN)/python deploy/audit.py $(AUDIT_FLAGS)

fmt: dev ## Format and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

kafka: ## Start a real Apache Kafka on 127.0.0.1:9092 (needs a JDK and Maven)
	@$(PYTHON) deploy/kafka/kafka.py start

topics: setup ## Create the topics with their partitions and retention on EVENTS_URL
	@$(if $(EVENTS_URL),EVENTS_URL='$(EVENTS_URL)') $(BIN)/remit topics create

migrate: setup ## Bring every service's database up to date
	@$(BIN)/remit migrate

schemas: dev ## Write what is generated in docs/: JSON Schemas, the AsyncAPI document, the list of problems
	@$(BIN)/python -m remit_events.schemas
	@$(BIN)/python -m remit_local.problem_types

lock: dev ## Resolve the dependencies anew into the two lock files (versions and hashes only)
	@$(PIP) install uv
	@$(BIN)/uv export -q --all-packages --no-dev --group build --no-emit-workspace --no-header --no-annotate -o requirements.lock
	@$(BIN)/uv export -q --all-packages --group build --no-emit-workspace --no-header --no-annotate -o requirements-dev.lock

clean: ## Remove the environment and caches (data folders stay)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache
