# One command each; every target does its own set-up. Needs Python ≥ 3.11 and make.
#   make demo [ARGS="--for 30s --port 8801 --data DIR"]    make test [ARGS="tests/config -k units"]

VENV ?= .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
SETUP := scripts/venv pyproject.toml

export PYTHON

.PHONY: help venv dev needs demo test check format bench soak lock sbom schema dashboards devices interop faults fuzz clean

help:
	@echo 'make demo        a simulated factory, the gateway and its page on http://127.0.0.1:8800/'
	@echo 'make test        install what the tests need, run all of them'
	@echo 'make check       ruff, mypy, import contracts, freshness of generated files'
	@echo 'make bench       speed and cost, beside what people use now -> docs/PERFORMANCE.md (25 min)'
	@echo 'make soak        memory and disk over an hour at 10,000 values/s, and over a fast month -> docs/PERFORMANCE.md'
	@echo 'make venv        the runtime environment only, in $(VENV)'
	@echo 'make dev         the same with the development tools'
	@echo 'make format      let ruff lay the code out'
	@echo 'make schema      write the JSON schema of gateway.yaml'
	@echo 'make dashboards  write the Grafana dashboards'
	@echo 'make devices     write docs/devices.md from the device templates'
	@echo 'make interop     try all peers written by others -> docs/INTEROP.md'
	@echo 'make faults      do all that can go wrong to a gateway -> docs/RELIABILITY.md'
	@echo 'make fuzz        let fuzzers at all that comes from outside, 10 min of CPU each -> docs/security.md'
	@echo 'make lock        resolve both lock files anew (ARGS=--upgrade for newer versions)'
	@echo 'make sbom        bill of materials of the runtime lock -> build/tanflow.cdx.json'
	@echo 'make clean       remove the environment and caches'

venv: $(RUNTIME)
dev: $(DEV)

$(RUNTIME): requirements.lock $(SETUP)
	@scripts/venv $(VENV) requirements.lock
	@touch $@

# The development lock holds everything of the runtime lock in the same versions.
$(DEV): requirements-dev.lock requirements.lock $(SETUP)
	@scripts/venv $(VENV) requirements-dev.lock
	@touch $(RUNTIME) $@

needs:
	@scripts/needs

demo: $(RUNTIME)
	@$(BIN)/tanflow demo $(ARGS)

test: $(DEV) needs
	@$(BIN)/python -m pytest -n 4 --dist loadgroup $(ARGS)

check: $(DEV)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m config.schema --check
	$(BIN)/python -m dashboards.generate --check
	$(BIN)/python -m tests.devices --check

format: $(DEV)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(DEV)
	@scripts/needs influxd mosquitto node-red
	@$(BIN)/python -m benchmarks.run $(ARGS)

soak: $(RUNTIME)
	@scripts/needs influxd
	@$(BIN)/python -m benchmarks.soak $(ARGS)

schema: $(RUNTIME)
	@$(BIN)/python -m config.schema

dashboards: $(RUNTIME)
	@$(BIN)/python -m dashboards.generate

devices: $(DEV)
	@$(BIN)/python -m tests.devices

interop: $(DEV) needs
	@rm -rf .interop
	@$(BIN)/python -m pytest -n 4 --dist loadgroup $$(grep -rl 'tests.interop import' tests --include='test_*.py')
	@$(BIN)/python -m tests.interop

faults: $(DEV) needs
	@rm -rf .faults
	@$(BIN)/python -m pytest -n 2 --dist loadgroup tests/faults tests/operations tests/security --full $(ARGS)
	@$(if $(ARGS),echo 'some of the faults only: docs/RELIABILITY.md stays as it is',$(BIN)/python -m tests.faults.table --full)

# The fuzzers are no part of the development lock: atheris has wheels for Linux and CPython to 3.13 only, and nothing but
# this needs them (make test replays what they found without them).
fuzz: $(DEV) build/fuzz-tools
	@$(BIN)/python -m tests.fuzz.run $(ARGS)

build/fuzz-tools: tests/fuzz/requirements.txt
	@rm -rf $@
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --target $@ -r $<
	@touch $@

lock:
	@scripts/lock $(ARGS)

sbom: $(DEV)
	@mkdir -p build
	@$(BIN)/python scripts/sbom build/tanflow.cdx.json

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf tests/peers/node_modules benchmarks/node_red/node_modules
