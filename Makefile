# make demo   render a small data set, train and score four models on it, print the leaderboard
# make test   the fast test suite
# make leaderboards EMPS=DIR     the runs behind the published tables, as far as they are not done (days on a CPU), e.g.
#                                with CAMPAIGN='--device cuda --time-limit 12m --jobs 2', or CAMPAIGN=--dry-run
# Each does its whole set-up from nothing and is quick when repeated.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

DEMO_DATA := data/demo
DEMO_RUNS := runs/demo

EMPS ?=
CAMPAIGN ?= --jobs 2

.PHONY: setup demo leaderboards test test-slow lint types clean

setup: $(READY)

# The headless OpenCV is put in place last: it and the desktop build own the same files, and the desktop build needs
# libGL, which servers lack.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--force-reinstall --no-deps opencv-python-headless
	touch $(READY)

demo: $(READY)
	$(BIN)/nanoseg-bench prepare --dataset nanosynth --easy --images 120 --size 256 --augment-copies 0 \
		--out $(DEMO_DATA)
	$(BIN)/nanoseg-bench run $(DEMO_DATA) --models unet yolo11n nsyolo otsu --preset quick --jobs 2 \
		--runs $(DEMO_RUNS) --leaderboards $(DEMO_RUNS)/leaderboards

leaderboards: $(READY)
	$(BIN)/nanoseg-bench campaign --readme README.md $(if $(EMPS),--source 'emps=$(EMPS)') $(CAMPAIGN)

test: $(READY)
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

clean:
	rm -rf $(VENV) runs/demo data/demo
