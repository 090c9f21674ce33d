# One command does all set-up: every target makes the environment it needs. Only Python >= 3.11 must be there.
SHELL := /bin/sh
VENV := .venv
EMULATOR := .emulator
BIN := $(VENV)/bin
DEMO := demo
EVENTS := 200000

.PHONY: help demo test test-long check format bench clean
# Two targets that make the environment at the same time would break it.
.NOTPARALLEL:

help:
	@echo "make demo    write a demo export and run the whole pipeline on it; leaves $(DEMO)/report.html"
	@echo "make test    run the tests"
	@echo "make test-long  run the tests that take minutes: many made-up properties, longer searches"
	@echo "make check   lint, formatting, types, docs"
	@echo "make format  mend formatting and what lint can mend"
	@echo "make bench   measure; prints a table and writes benchmarks/results/"
	@echo "make clean   remove the environment, caches and the demo"

demo: $(VENV)/.runtime
	$(BIN)/microconv demo $(DEMO) --events $(EVENTS)

# Three at a time: half of them wait for the emulator. A file stays together, for what its tests share; files begin in the
# order of their names, so that those of few and long tests (tests/resilience) do not come last, one after the other.
test: $(VENV)/.develop $(EMULATOR)/.made
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

test-long: $(VENV)/.develop
	TEST_LONG=1 $(BIN)/python -m pytest -m "long or search" --numprocesses 2

check: $(VENV)/.develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_docs.py

format: $(VENV)/.develop
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.develop
	$(BIN)/python -m benchmarks

$(VENV)/.runtime: pyproject.toml constraints.txt
	@sh .ci/make-environment $(VENV)
	@touch $@

$(VENV)/.develop: pyproject.toml constraints.txt
	@sh .ci/make-environment $(VENV) test check
	@touch $(VENV)/.runtime $@

# Not there still after its recipe where no Python is new enough for it.
$(EMULATOR)/.made: .ci/emulator-requirements.txt .ci/make-emulator
	@sh .ci/make-emulator $(EMULATOR)

clean:
	rm -rf $(VENV) $(EMULATOR) .others $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist benchmarks/results
