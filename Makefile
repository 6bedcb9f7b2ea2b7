# Every task of the workspace. `make help` lists them; `make demo` and `make test` need Python >= 3.11, make and git alone.

SHELL := /bin/sh
.DEFAULT_GOAL := help

UV_VERSION := 0.13.9
COMMA := ,
MEMBERS := core producers workers sync_service gateway
WITH_EXTRAS := $(MEMBERS:core=core[confluent$(COMMA)kafka$(COMMA)rabbitmq$(COMMA)redis$(COMMA)s3])
WITH_EXTRAS := $(WITH_EXTRAS:sync_service=sync_service[postgresql])
WITH_EXTRAS := $(WITH_EXTRAS:producers=producers[client$(COMMA)rq$(COMMA)schedules$(COMMA)watch])
PACKAGES := predictq predictq_producers predictq_workers predictq_sync predictq_gateway
PYTHONS := python3.13 python3.12 python3.11 python3.14 python3 python
BIN := .venv/bin
# Most of a test is waiting; a file stays together, for what its tests share.
SIDE_BY_SIDE := -n 2 --dist loadfile
UV := .tools/bin/uv
# An interpreter that is there is used, never one that would have to be downloaded.
export UV_PYTHON_DOWNLOADS := never
# As pip does: the machine's own certificates where it has some, so that a company's proxy is trusted.
CERTIFICATES := /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem
export UV_SYSTEM_CERTS ?= $(if $(wildcard $(CERTIFICATES)),true,false)

.PHONY: help
help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

.PHONY: install
install: .venv/.installed ## Make .venv with everything in it (all other tasks do this first)
	@echo "$(BIN) holds python and predictq"

.PHONY: demo
demo: .venv/.installed ## Two models, real data, real predictions; BROKER=kafka DATABASE=postgresql puts it on servers; KEEP=1 keeps it up
	@$(if $(BROKER)$(DATABASE),$(BIN)/python -m tests.servers lend "$(BROKER)" "$(DATABASE)") $(BIN)/python examples/tumours/demo.py

.PHONY: test
test: .venv/.installed ## All tests, two files at a time; ARGS="-k name" narrows them, one at a time; with CI=true every server is installed first
	@test "$$CI" != true || $(BIN)/python -m tests.servers install
	@$(BIN)/python -m pytest $(or $(ARGS),$(SIDE_BY_SIDE))

.PHONY: services
services: .venv/.installed ## Install and start Kafka, RabbitMQ, Redis and PostgreSQL for the tests; URLs in .services.env
	@$(BIN)/python -m tests.servers install
	@$(BIN)/python -m tests.servers start

.PHONY: services-down
services-down: .venv/.installed ## End what `make services` started
	@$(BIN)/python -m tests.servers stop

.PHONY: check
check: .venv/.installed ## Format, lint, types and import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy $(addprefix -p ,$(PACKAGES))
	@$(BIN)/mypy examples bench tests
	@$(BIN)/lint-imports

.PHONY: page
page: gateway/page/node_modules ## Build the live page into the gateway's package; needs Node >= 20
	@cd gateway/page && npm run --silent build

.PHONY: page-check
page-check: gateway/page/node_modules ## Types and lint of the live page; needs Node >= 20
	@cd gateway/page && npm run --silent check

.PHONY: fix
fix: .venv/.installed ## Format, and mend what the linter can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: bench
bench: .venv/.installed ## Measure; a table, and JSON in bench/results (ARGS are handed on)
	@$(BIN)/python bench/run.py $(ARGS)

.PHONY: lock
lock: $(UV) ## Resolve all versions anew into constraints.txt
	@$(UV) pip compile --quiet --universal --upgrade --python-version 3.11 --no-header --no-annotate --group dev \
	    --no-emit-package predictq $(foreach m,producers workers sync gateway,--no-emit-package predictq-$m) \
	    --all-extras --output-file constraints.txt pyproject.toml $(MEMBERS:%=%/pyproject.toml)
	@echo "constraints.txt: $$(wc -l < constraints.txt) packages"

.PHONY: clean
clean: ## Remove what was made: .venv, .tools and all caches
	@rm -rf .venv .tools gateway/page/node_modules dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

gateway/page/node_modules: gateway/page/package-lock.json
	@cd gateway/page && npm ci --silent
	@touch $@

.venv/.installed: pyproject.toml $(MEMBERS:%=%/pyproject.toml) constraints.txt $(UV)
	@test -x $(BIN)/python || $(UV) venv --quiet --python .tools/bin/python .venv
	@echo "Installing into .venv, once …" >&2
	@$(UV) pip install --quiet --compile-bytecode --python .venv --constraint constraints.txt --group dev \
	    $(WITH_EXTRAS:%=--editable './%')
	@touch $@

$(UV):
	@for name in $(PYTHONS); do \
	  if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "error: no Python >= 3.11 among: $(PYTHONS); install one, or name it: make PYTHONS=/path/to/python3" >&2; exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "error: $$python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; \
	fi; \
	rm -rf .tools && $$python -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
