# make plan   install what is needed (once) and make the demo company's plan
# make test   the same, then every test; make test ROOM=supply: that room's tests and its notebook
# make lint   format, lint and types, without a test
# make check  make lint, then make test: what must be green before a change is handed in
# make lab    JupyterLab, on a page that says where the cycle stands; no news, no network
# make meet   the notebooks as pages for the meeting room, without code (Voila); no network
# make lock   choose versions again and write requirements.lock

COMPANY ?= demo
CYCLE ?= 2026-11
PYTHON ?= $(firstword $(foreach version,3.11 3.12 3.13,$(shell command -v python$(version))) python3)
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

# without compiled files every kernel would compile the libraries anew: 10 s instead of 2 for one import
unexport PYTHONDONTWRITEBYTECODE

.PHONY: plan test lint check lab meet lock

plan: $(INSTALLED)
	$(BIN)/sopkit run --company $(COMPANY) --cycle $(CYCLE)

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(if $(ROOM),--room $(ROOM))

lint: $(INSTALLED)
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/mypy

check: lint test

lab: $(INSTALLED)
	$(BIN)/jupyter lab --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate notebooks/start/start.ipynb

meet: $(VENV)/meet
	$(BIN)/voila --Voila.ip=127.0.0.1 "--Voila.tornado_settings={'headers': {'Content-Security-Policy': $(NOTHING_FROM_OUTSIDE)}}" notebooks

# Voila's page would ask a public server for the icons of buttons
NOTHING_FROM_OUTSIDE = \"default-src 'self' data: blob: ws: 'unsafe-inline' 'unsafe-eval'\"

# an extra: its own versions, everything else as it is pinned
$(VENV)/meet: $(INSTALLED)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint requirements.lock --editable '.[meet]'
	@touch $@

lock: $(INSTALLED)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --extra test --extra dev --extra dask \
		--no-header --no-annotate --no-emit-index-url --output-file requirements.lock pyproject.toml

$(INSTALLED): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "sopkit needs Python 3.11, 3.12 or 3.13: make PYTHON=/path/to/python3.12 plan"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --requirements requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@mkdir -p $(VENV)/share/jupyter/lab/settings
	@echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}' \
		> $(VENV)/share/jupyter/lab/settings/overrides.json
	@touch $@
