# `make app` opens the app, `make test` runs every test; each sets up the environment first when it is missing.
PYTHON ?= python3
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin
comma := ,
# uv installs several times faster than pip, which does the work where uv can not (it does not read pip's configuration).
# Byte code is compiled here once and not at the first click.
export UV_SYSTEM_CERTS := 1
install = $(BIN)/python -m uv pip install --quiet --compile-bytecode --python $(BIN)/python $(1) \
	|| $(BIN)/python -m pip install --quiet --disable-pip-version-check $(1)

.PHONY: app test test-long lint format bench clean help

help:
	@echo "make app        install, then open the app on http://127.0.0.1:$(PORT)"
	@echo "make test       install, then run every test, browser tests included (under 15 minutes on 2 cores)"
	@echo "make test-long  the tests that take minutes: training, benchmark figures (needs CXRLAB_DATA)"
	@echo "make lint       ruff and mypy"
	@echo "make bench      speed ratios against what one would use otherwise"

$(VENV)/uv:
	@$(PYTHON) -c 'import sys; sys.exit("cxrlab needs Python 3.11 or newer; set PYTHON=…" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

$(VENV)/app: $(VENV)/uv requirements.txt pyproject.toml
	$(call install,--editable .)
	@touch $@

# Ray, for the tests of the cluster, is not there for every platform; CI must have it.
$(VENV)/dev: $(VENV)/app
	$(call install,--editable '.[dev$(comma)cluster]') || { \
		if [ "$$CI" = true ]; then exit 1; fi; \
		echo "!!! Ray could not be installed: the tests of the cluster will NOT RUN"; \
		$(call install,--editable '.[dev]'); }
	@touch $@

app: $(VENV)/app
	$(BIN)/python -m streamlit run streamlit_app.py --server.port $(PORT)

test: $(VENV)/dev
	$(BIN)/python -m pytest -m "not long"

test-long: $(VENV)/dev
	$(BIN)/python -m pytest -m long

lint: $(VENV)/dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

format: $(VENV)/dev
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

bench: $(VENV)/dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
