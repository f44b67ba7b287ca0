# Every target makes .venv and installs what it needs first, so each works from a fresh clone.
# Variables: PYTHON (3.11 or newer), VENV, JOBS (training processes side by side), TEST_WORKERS, RUNS.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
TEST_WORKERS ?= 2
RUNS ?= runs/reproduce

BIN := $(VENV)/bin
AULIGHT := $(BIN)/aulight
INSTALLED := $(VENV)/.installed

# albumentations looks for updates when imported otherwise
export NO_ALBUMENTATIONS_UPDATE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## list the targets
	@echo "usage: make <target>"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# ---- install ----------------------------------------------------------------------------------------------

.PHONY: install
install: $(INSTALLED) ## make .venv and install aulight, editable, with the tested versions

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -c constraints.txt -e ".[sweep,dev]"
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "aulight needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
			"Name another one: make install PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -f $@; exit 1; }

# ---- checks -----------------------------------------------------------------------------------------------

.PHONY: check
check: $(INSTALLED) ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.PHONY: test
test: $(INSTALLED) ## the quick tests
	$(BIN)/python -m pytest -m "not slow" -n $(TEST_WORKERS)

.PHONY: test-slow
test-slow: $(INSTALLED) ## the tests that train, kill and resume
	$(BIN)/python -m pytest -m slow

.PHONY: test-all
test-all: test test-slow ## every test

.PHONY: bench
bench: $(INSTALLED) ## speeds and memory as ratios to their limits, as a table
	$(BIN)/python tests/benchmarks

# ---- the result -------------------------------------------------------------------------------------------
# One recipe, three sizes. Runs that are done are passed over and a run that was cut off goes on from its last
# checkpoint, so after an interruption the same command does what is missing.
#   EXPERIMENT        in conf/experiment; SETTINGS: changes to it
#   INTO              folder of the runs and of the report
#   STAGE_ONE_SEEDS   of stage one
#   MAIN_SEEDS        of stage two with 2% of the labels;  FRACTIONS, FRACTION_SEEDS: of the other label fractions
#   MINUTES           that each of the five steps takes on 2 CPU cores

.PHONY: reproduce
reproduce: EXPERIMENT := reproduce
reproduce: SETTINGS :=
reproduce: INTO := runs/reproduce
reproduce: DATA := default
reproduce: STAGE_ONE_SEEDS := 0,1
reproduce: MAIN_SEEDS := 0,1,2
reproduce: FRACTIONS := 0.01,0.1,1.0
reproduce: FRACTION_SEEDS := 0
reproduce: MINUTES := 1 8 22 3 1
reproduce: $(INSTALLED) ## the main result: data, both stages, report; under 40 minutes on 2 CPU cores
	$(both-stages)

.PHONY: reproduce-full
reproduce-full: EXPERIMENT := reproduce
reproduce-full: SETTINGS := 'stage_one=[0,1,2,3,4]'
reproduce-full: INTO := runs/reproduce-full
reproduce-full: DATA := default
reproduce-full: STAGE_ONE_SEEDS := 0,1,2,3,4
reproduce-full: MAIN_SEEDS := 0,1,2,3,4
reproduce-full: FRACTIONS := 0.005,0.01,0.05,0.1,0.2,0.5,1.0
reproduce-full: FRACTION_SEEDS := 0,1,2,3,4
reproduce-full: MINUTES := 1 18 30 60 1
reproduce-full: $(INSTALLED) ## the same with more label fractions and five seeds of each; two hours
	$(both-stages)

.PHONY: smoke
smoke: EXPERIMENT := smoke
smoke: SETTINGS :=
smoke: INTO := runs/smoke
smoke: DATA := smoke
smoke: STAGE_ONE_SEEDS := 0,1
smoke: MAIN_SEEDS := 0,1
smoke: FRACTIONS := 1.0
smoke: FRACTION_SEEDS := 0
smoke: MINUTES := 1 1 1 1 1
smoke: $(INSTALLED) ## the same path in 2 minutes, too small to learn anything
	$(both-stages)

step = @echo; echo "[$(1)/5] $(2) (about $(word $(1),$(MINUTES)) min)"
SWEEP = -m experiment=$(EXPERIMENT) $(SETTINGS) runs=$(INTO) hydra.launcher.n_jobs=$(JOBS)

define both-stages
$(call step,1,synthetic faces)
$(BIN)/python -c "$(MAKE_DATA)"
$(call step,2,stage one without labels: seeds $(STAGE_ONE_SEEDS))
$(AULIGHT) pretrain $(SWEEP) name='seed$${seed}' seed=$(STAGE_ONE_SEEDS)
$(call step,3,stage two with 2% of the labels on top of stage one and from scratch: seeds $(MAIN_SEEDS))
$(AULIGHT) finetune $(SWEEP) start=scratch_equal_compute,pretrained,scratch label_fraction=0.02 seed=$(MAIN_SEEDS)
$(call step,4,stage two with other shares of the labels: $(FRACTIONS))
$(AULIGHT) finetune $(SWEEP) start=pretrained,scratch label_fraction=$(FRACTIONS) seed=$(FRACTION_SEEDS)
$(call step,5,report)
$(AULIGHT) report runs=$(INTO)
endef

MAKE_DATA = from pathlib import Path; from aulight.data.modules import open_data; \
	open_data(Path('data/synthetic-$(DATA)-seed0'), {'size': '$(DATA)', 'seed': 0})

.PHONY: data
data: DATA := default
data: $(INSTALLED) ## generate the synthetic faces into data/
	$(BIN)/python -c "$(MAKE_DATA)"

.PHONY: faces
faces: $(INSTALLED) ## draw the picture of the synthetic faces, docs/faces.png
	$(BIN)/python -m aulight.data.synthetic --contact-sheet docs/faces.png

.PHONY: readable
readable: $(INSTALLED) ## how well each AU of the synthetic faces can be read: all labels, 1200 steps; 6 minutes
	$(AULIGHT) finetune experiment=reproduce runs=runs/readable label_fraction=1.0 steps=1200
	$(AULIGHT) report runs=runs/readable

.PHONY: report
report: $(INSTALLED) ## tables and figures of the runs in RUNS once more
	$(AULIGHT) report runs=$(RUNS)

# -----------------------------------------------------------------------------------------------------------

.PHONY: clean
clean: ## remove caches and built packages; data/, runs/ and .venv stay
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find aulight tests -name __pycache__ -type d -prune -exec rm -rf {} +
