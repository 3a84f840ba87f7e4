# Each target makes what it needs first, on a machine with only Python >= 3.11 and make.

PYTHON ?= python3
RUN ?= tests/vectors/signer-run/a.jsonl
STRATEGY ?= periodic:1
CASES ?= 10000
SEED ?= 1

BIN := .venv/bin
VENV := .venv/.stamp
NODE := build/node/.stamp

.PHONY: setup lint test faults demo bench bench-plots firmware wheel test-device clean

setup: $(VENV) $(NODE)

lint: $(VENV)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	@mkdir -p build/mypy
	@ln -sfn ../../host_tools/vls_backup build/mypy/vls_backup
	@ln -sfn ../../boards/sim/host build/mypy/vls_backup_sim
	@ln -sfn ../../firmware/backup_format build/mypy/backup_format
	@ln -sfn ../../tools build/mypy/tools
	$(BIN)/mypy --no-error-summary

test: lint $(NODE)
	$(BIN)/python -m pytest -q

# CASES: how many; SEED: other dice. FAMILY and CASE: one case again, as the table's messages name it.
faults: $(VENV)
	@$(BIN)/python tests/faults/run.py --cases "$(CASES)" --seed "$(SEED)" $(if $(CASE),--family "$(FAMILY)" --case "$(CASE)")

# PORT: the board's serial port. ERASE=yes: write over what its medium holds, unless that is a backup.
test-device: $(VENV)
	@test -n "$(PORT)" || { echo "which board? make test-device PORT=/dev/ttyACM0 [ERASE=yes]" >&2; exit 1; }
	$(BIN)/python tests/device/run_suite.py --port "$(PORT)" $(if $(filter yes,$(ERASE)),--erase)

demo: $(VENV)
	$(BIN)/python tools/demo.py --run "$(RUN)" --strategy "$(STRATEGY)"

# Takes some minutes. PARTS: only these rows. MICROPYTHON: a 32-bit unix build, to measure heap in a board's size.
bench: $(VENV) $(NODE)
	PYTHONPATH=firmware:boards/sim $(BIN)/python -m tools.bench $(PARTS)

# Draws docs/plots, and puts the table of the last `make bench` into docs/performance.md.
bench-plots: $(VENV) $(NODE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,plots]'
	PYTHONPATH=firmware:boards/sim $(BIN)/python -m tools.bench_plots

firmware: $(VENV) $(NODE)
	$(BIN)/python tools/firmware.py

wheel: firmware
	$(BIN)/python tools/wheel.py

clean:
	rm -rf .venv build .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info

# Debian's python3 can come without the part of venv that installs pip: then virtualenv, by pip, and else one line.
$(VENV): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "vls-backup needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@rm -rf .venv
	@$(PYTHON) -m venv .venv >/dev/null 2>&1 || { rm -rf .venv; \
		$(PYTHON) -m pip install --quiet --target build/virtualenv virtualenv >/dev/null 2>&1 && \
		PYTHONPATH=build/virtualenv $(PYTHON) -m virtualenv --quiet .venv; } || \
		{ echo "$(PYTHON) can make no virtual environment. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(NODE): $(VENV) tests/vm/package.json tests/vm/package-lock.json
	@mkdir -p build/node
	@cp tests/vm/package.json tests/vm/package-lock.json build/node/
	cd build/node && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
