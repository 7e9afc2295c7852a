# Every target sets up what it needs in .venv; the first run takes a few minutes, later ones seconds.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
SOURCES := pyproject.toml CMakeLists.txt $(shell find cpp/src cpp/include cpp/bindings -name '*.?pp')
CXX_FILES := $(shell find cpp/src cpp/include cpp/bindings -name '*.?pp')

.PHONY: demo test lint format bench wheel sanitize docs clean

demo: $(VENV)/.installed
	$(BIN)/convergent demo --out demo

test: $(VENV)/.test
	$(PY) -m pytest

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)
	$(BIN)/mypy

format: $(VENV)/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_FILES)

bench: $(VENV)/.bench
	$(PY) -m bench

# In the environment that the editable build uses, whose objects are then the wheel's, too.
wheel: $(VENV)/.pip
	rm -rf dist
	$(PY) -m pip install --quiet --group build
	PATH="$(CURDIR)/$(BIN):$$PATH" $(PY) -m pip wheel --no-build-isolation --no-deps --wheel-dir dist .

docs: $(VENV)/.docs
	$(BIN)/mkdocs build --strict

sanitize: $(VENV)/.test
	PYTHON=$(PY) tests/sanitize.sh address,undefined
	PYTHON=$(PY) tests/sanitize.sh thread

clean:
	rm -rf $(VENV) build dist demo

$(VENV)/.pip:
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip
	touch $@

# torch and torchvision are installed together, so that the two builds match.
$(VENV)/.torch: $(VENV)/.pip
	$(PY) -m pip install torch torchvision
	touch $@

# Built with tools of this environment, so that a change recompiles only what it touches.
$(VENV)/.installed: $(VENV)/.torch $(SOURCES)
	$(PY) -m pip install --quiet --group build
	PATH="$(CURDIR)/$(BIN):$$PATH" $(PY) -m pip install --no-build-isolation --editable ".[full]"
	touch $@

$(VENV)/.test: $(VENV)/.installed
	$(PY) -m pip install --quiet --group test --group models
	touch $@

$(VENV)/.lint: $(VENV)/.test
	$(PY) -m pip install --quiet --group lint
	touch $@

$(VENV)/.bench: $(VENV)/.test
	$(PY) -m pip install --quiet --group bench
	touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(PY) -m pip install --quiet --group docs
	touch $@
