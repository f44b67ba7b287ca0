# Every target makes .venv and installs what it needs first, so each works from a fresh clone.
# Variables: PYTHON (3.11 or newer), VENV, JOBS (training processes side by side), TEST_WORKERS; RUNS (folder of runs
# and report) and DATA (folder of prepared datasets); OPENCV (opencv-python-headless where there is no libGL).

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
TEST_WORKERS ?= 2
RUNS ?= runs/reproduce
DATA ?= data
OPENCV ?= opencv-contrib-python

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
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# ---- install ----------------------------------------------------------------------------------------------

.PHONY: install
install: $(INSTALLED) ## make .venv and install aulight, with the tested versions and the face landmarker

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -c constraints.txt -e ".[faces,sweep,export,dev]"
# albumentations and mediapipe bring an OpenCV each, one over the other: see aulight/data/video/opencv.py
	$(BIN)/python -m pip uninstall -qy opencv-contrib-python opencv-python-headless
	$(BIN)/python -m pip install -c constraints.txt --no-deps $(OPENCV)
	$(BIN)/python -m aulight.data.faces
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
	$(BIN)/python -m pytest -m "not slow and not slurm" -n $(TEST_WORKERS)

.PHONY: test-slow
test-slow: $(INSTALLED) ## the tests that train, kill and resume
	$(BIN)/python -m pytest -m slow

.PHONY: test-slurm
test-slurm: $(INSTALLED) ## the tests that need a Slurm cluster, run on one of its nodes
	$(BIN)/python -m pytest -m slurm

.PHONY: test-all
test-all: test test-slow ## every test

.PHONY: bench
bench: $(INSTALLED) ## speeds and memory as ratios to their limits, as a table
	$(BIN)/python tests/benchmarks

.PHONY: bench-gpu
bench-gpu: $(INSTALLED) ## both stages on a GPU: frames/s, waiting, memory, share of its peak
	$(BIN)/python tests/benchmarks/gpu.py --data $(DATA)

# ---- the result -------------------------------------------------------------------------------------------
# One recipe, three sizes of synthetic faces. Runs that are done are passed over and a run that was cut off goes on from
# its last checkpoint, so after an interruption the same command does what is missing.
#   EXPERIMENT        in conf/experiment; SETTINGS: changes to it
#   SIZE              of the dataset
#   STAGE_ONE_SEEDS   of stage one
#   MAIN_SEEDS        of stage two with 2% of the labels;  FRACTIONS, FRACTION_SEEDS: of the other label fractions
#   MINUTES           that each of the five steps takes on 2 CPU cores

.PHONY: reproduce
reproduce: EXPERIMENT := reproduce
reproduce: SETTINGS :=
reproduce: RUNS := runs/reproduce
reproduce: SIZE := default
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
reproduce-full: RUNS := runs/reproduce-full
reproduce-full: SIZE := default
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
smoke: RUNS := runs/smoke
smoke: SIZE := smoke
smoke: STAGE_ONE_SEEDS := 0,1
smoke: MAIN_SEEDS := 0,1
smoke: FRACTIONS := 1.0
smoke: FRACTION_SEEDS := 0
smoke: MINUTES := 1 1 1 1 1
smoke: $(INSTALLED) ## the same path in 2 minutes, too small to learn anything
	$(both-stages)

step = @echo; echo "[$(1)/5] $(2)$(if $(MINUTES), (about $(word $(1),$(MINUTES)) min))"
SWEEP = -m experiment=$(EXPERIMENT) $(SETTINGS) runs=$(RUNS) data_dir=$(DATA) hydra.launcher.n_jobs=$(JOBS)

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
$(AULIGHT) report runs=$(RUNS)
endef

MAKE_DATA = from pathlib import Path; from aulight.data.opening import open_data; \
	open_data(Path('$(DATA)/synthetic-$(SIZE)-seed0'), {'size': '$(SIZE)', 'seed': 0})

# Real data: make reproduce-disfa DISFA=<raw dataset> [UNLABELLED=<folder of videos>], and BP4D alike. Stage one sees
# the videos of UNLABELLED, or else, fold by fold, those of the training subjects; never their labels.
#   PREPARE, PREPARE_UNLABELLED   settings of `aulight prepare`, for example PREPARE=data.reader.camera=both
#   SETTINGS                      changes to conf/experiment/disfa.yaml or bp4d.yaml
#   FRACTIONS, SEEDS              of stage two; stage one is run once a seed

.PHONY: reproduce-disfa
reproduce-disfa: EXPERIMENT := disfa
reproduce-disfa: RAW = $(DISFA)
reproduce-disfa: RUNS := runs/disfa
reproduce-disfa: FOLDS := 1,2,3
reproduce-disfa: SEEDS := 0
reproduce-disfa: FRACTIONS := 0.01,0.02,0.1,1.0
reproduce-disfa: JOBS := 1
reproduce-disfa: need-DISFA $(INSTALLED) ## the same on DISFA=<raw dataset>, three folds; wants a GPU
	$(real-data)

.PHONY: reproduce-bp4d
reproduce-bp4d: EXPERIMENT := bp4d
reproduce-bp4d: RAW = $(BP4D)
reproduce-bp4d: RUNS := runs/bp4d
reproduce-bp4d: FOLDS := 1
reproduce-bp4d: SEEDS := 0
reproduce-bp4d: FRACTIONS := 0.01,0.02,0.1,1.0
reproduce-bp4d: JOBS := 1
reproduce-bp4d: need-BP4D $(INSTALLED) ## the same on BP4D=<raw dataset>, train and test of FERA 2015; wants a GPU
	$(real-data)

need-%:
	$(if $($*),,@echo "usage: make reproduce-$(EXPERIMENT) $*=<raw dataset> [UNLABELLED=<folder of videos>]" >&2; exit 2)

# By its own name, under which DISFA+ is refused for DISFA.
OTHER = $(notdir $(UNLABELLED:/=))
OTHER_DATA = data=folder "data.name='$(OTHER)'" "data.root='$(DATA)/unlabelled-$(OTHER)'"

define real-data
$(call step,1,prepare $(EXPERIMENT)$(if $(UNLABELLED), and $(OTHER)))
$(AULIGHT) prepare data=$(EXPERIMENT) "data.source='$(RAW)'" data_dir=$(DATA) $(PREPARE)
$(if $(UNLABELLED),$(AULIGHT) prepare $(OTHER_DATA) "data.source='$(UNLABELLED)'" $(PREPARE_UNLABELLED))
$(call step,2,stage one without labels: $(if $(UNLABELLED),$(OTHER),training subjects of fold $(FOLDS)))
$(AULIGHT) pretrain $(SWEEP) seed=$(SEEDS) $(if $(UNLABELLED),$(OTHER_DATA) \
	name='unlabelled-seed$${seed}',fold=$(FOLDS) name='fold$${fold}-seed$${seed}')
$(call step,3,stage two on top of stage one and from scratch: fold $(FOLDS); shares of the labels $(FRACTIONS))
$(AULIGHT) finetune $(SWEEP) seed=$(SEEDS) fold=$(FOLDS) start=pretrained,scratch label_fraction=$(FRACTIONS) \
	$(if $(UNLABELLED),stage_one_run='unlabelled-seed$${seed}')
$(call step,4,regression from blendshapes)
$(AULIGHT) finetune $(filter-out model.%,$(SWEEP)) seed=$(SEEDS) fold=$(FOLDS) model=blendshapes \
	label_fraction=$(FRACTIONS)
$(call step,5,report)
$(AULIGHT) report runs=$(RUNS)
endef

.PHONY: data
data: SIZE := default
data: $(INSTALLED) ## generate the synthetic faces into DATA
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
