# make demo   render a small data set, train and score four models on it, print the leaderboard
# make quick  tests of the inner loop (formats, metrics, tables), a minute
# make test   the fast test suite; make test-slow: trainings and whole workflows; make test-faults: kills and fuzzing
# make docs   the documentation as a site, with the reference of all functions, in site/ (extra `docs`)
# make leaderboards EMPS=DIR     the runs behind the published tables, as far as they are not done (days on a CPU), e.g.
#                                with CAMPAIGN='--device cuda --time-limit 12m --jobs 2', or CAMPAIGN=--dry-run
# make bench  the numbers of README and docs, measured anew, in one table: hours, on a quiet machine; some of them with
#             PARTS=records,commands; needs EMPS=DIR where it is not beside this folder; BENCH=--list names the parts
# Each does its whole set-up from nothing and is quick when repeated.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

DEMO_DATA := data/demo
DEMO_RUNS := runs/demo

# A worker for each core, each with one thread. Each begins with its half, quarter … of the files, so that what the tests
# of a file share is made once, and takes over some of another's when it is done.
WORKERS ?= -n logical --maxprocesses 4 --dist worksteal
# Compiled code is kept even where the shell forbids it: the processes that tests start need not compile all of it anew.
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest

# Rooms without networks, and of them not what fuzzes or starts processes.
QUICK := tests/annotations tests/catalog tests/evaluation tests/images tests/leaderboard tests/metrics \
	tests/pages tests/test_files.py tests/test_rooms.py tests/test_staging.py tests/test_wording.py \
	$(addprefix --ignore=tests/,annotations/test_conversion.py annotations/test_readers_fuzz.py evaluation/external \
	images/test_any_bytes.py leaderboard/test_adding_a_metric.py)

EMPS ?=
CAMPAIGN ?= --jobs 2
PARTS ?=
BENCH ?=

.PHONY: setup demo bench leaderboards quick test test-slow test-faults coverage lint types docs clean

setup: $(READY)

# The headless OpenCV is put in place last: it and the desktop build own the same files, and the desktop build needs
# libGL, which servers lack.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all,test]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--force-reinstall --no-deps opencv-python-headless
	touch $(READY)

demo: $(READY)
	$(BIN)/nanoseg-bench prepare --dataset nanosynth --easy --images 120 --size 256 --augment-copies 0 \
		--out $(DEMO_DATA)
	$(BIN)/nanoseg-bench run $(DEMO_DATA) --models unet yolo11n nsyolo otsu --preset quick --jobs 2 \
		--runs $(DEMO_RUNS) --leaderboards $(DEMO_RUNS)/leaderboards

bench: $(READY)
	$(BIN)/python tests/benchmarks/bench.py $(if $(PARTS),--parts '$(PARTS)') $(if $(EMPS),--emps '$(EMPS)') $(BENCH)

leaderboards: $(READY)
	$(BIN)/nanoseg-bench campaign --readme README.md $(if $(EMPS),--source 'emps=$(EMPS)') $(CAMPAIGN)

quick: $(READY)
	$(PYTEST) $(WORKERS) -m "not slow" $(QUICK)

test: $(READY)
	$(PYTEST) $(WORKERS) -m "not slow"

test-slow: $(READY)
	$(PYTEST) $(WORKERS) -m "slow and not faults"

# One after the other: they kill at a share of the time that a command takes when nothing else runs.
test-faults: $(READY)
	$(PYTEST) -m faults

# Information, no gate. Processes that tests start are not counted.
coverage: $(READY)
	$(PYTEST) $(WORKERS) -m "not slow" --cov=nanoseg_bench --cov-report=term

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

# The site needs no network, neither to be built nor to be read.
docs: $(VENV)/docs-ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

$(VENV)/docs-ready: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) runs/demo data/demo site
