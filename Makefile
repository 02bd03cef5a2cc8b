# Two commands do everything on a fresh machine with Python 3.11 and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# full length by hand; continuous integration runs minutes
SOAK_MINUTES ?= 30
SOAK_TESTS ?= tests
FUZZ_FRAMES ?= 1000000
FILLS ?= 24000
KILLS ?= 4
# some images set it; every process would compile all it imports anew, and a demo starts a dozen
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo live test check lint types bench fuzz soak browser kafka kafka-full realdata slow e2e kill-test lock clean audit

setup: $(STAMP)

$(STAMP): requirements.lock requirements-bootstrap.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock requirements-bootstrap.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $(STAMP)

demo: setup
	$(BIN)/sigmapilot demo

live: setup
	$(BIN)/sigmapilot up --mode live

test: setup
	$(BIN)/pytest

check: setup lint types
	$(BIN)/pytest

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

slow: setup
	$(BIN)/pytest -m slow --timeout 900 --ignore tests/e2e

# one running demo, from start to end: runbook, page, kill -9, orderly end
e2e: setup
	$(BIN)/pytest -m slow --timeout 900 tests/e2e

realdata: setup
	$(BIN)/pytest -m realdata --timeout 600

browser: setup
	$(BIN)/pytest -m browser --timeout 300

# a real broker from Maven's artifacts; FILLS and KILLS say how much flows, and how often workers, and in a run of its own
# workers, feed and Postgres, are killed meanwhile
kafka: setup
	$(BIN)/pytest -m kafka --timeout 600 --kafka-fills $(FILLS) --kafka-kills $(KILLS)

kafka-full: setup
	$(BIN)/pytest -m kafka --timeout 5400 --kafka-fills 300000 --kafka-kills 50

# mutated frames from bytes to decisions; continuous integration runs 30 000 among the slow tests
fuzz: setup
	$(BIN)/pytest -s -m slow --timeout 7200 --fuzz-frames $(FUZZ_FRAMES) tests/stream/test_stream_fuzz.py

soak: setup
	$(BIN)/pytest -m soak --timeout 7200 --soak-minutes $(SOAK_MINUTES) $(SOAK_TESTS)

# 50 kills of stream, feed and Postgres over 300 000 fills; continuous integration runs a short form
kill-test: setup
	$(BIN)/pytest -s -m slow --timeout 3600 tests/stream/test_stream_kill.py --kills 50 --kill-fills 300000

bench: setup
	$(BIN)/python -m benchmarks

audit: setup
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements.lock

# renews the pins; the output names no package index
lock: setup
	$(BIN)/uv pip compile pyproject.toml --extra dev --generate-hashes --no-annotate --no-header \
		--universal --python-version 3.11 --upgrade --output-file requirements.lock

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
