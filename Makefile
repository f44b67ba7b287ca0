# Every target makes .venv and installs what it needs first, so each works from a fresh clone.
# Variables: PYTHON (3.11 or newer), VENV, JOBS (training processes side by side), TEST_WORKERS, FAULT_SHARE (of the
# tries of test-faults); DATA (folder of prepared datasets), SIZE (of the synthetic one), RUNS (folder of runs and report).

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
TEST_WORKERS ?= 2
FAULT_SHARE ?= 1
DATA ?= data
SIZE := default
EXPERIMENT := reproduce
RUNS ?= runs/$(EXPERIMENT)

BIN := $(VENV)/bin
AULIGHT := $(BIN)/aulight
INSTALLED := $(VENV)/.installed

# albumentations looks for updates when imported otherwise
export NO_ALBUMENTATIONS_UPDATE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install check test test-precision test-slow test-faults test-slurm test-all bench bench-columns bench-clips \
	bench-scale bench-gpu bench-stats reproduce reproduce-full reproduce-avatars smoke tries default-model \
	default-model-score reproduce-disfa reproduce-bp4d rehearse-disfa rehearse-bp4d data faces readable report clean

help: ## list the targets
	@echo "usage: make <target>"
	@echo
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(INSTALLED) ## make .venv and install aulight, with the tested versions, the face landmarker and the avatars' head

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
# an OpenCV put there by hand or by an older aulight would lie under the one that comes now
	@$(BIN)/python -m pip uninstall -qy opencv-contrib-python opencv-python 2>/dev/null
	$(BIN)/python -m pip install -c constraints.txt -e ".[faces,avatars,sweep,label,cluster,elan,export,s3,dev]"
# What the landmarker is tested against. It asks for another OpenCV, which would lie over the one that is there.
	$(BIN)/python -m pip install -c constraints.txt --no-deps mediapipe
	$(BIN)/python -m aulight.data.faces
	$(BIN)/python -m aulight.data.avatars
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "aulight needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
			"Name another one: make install PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -f $@; exit 1; }

check: $(INSTALLED) ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

test: $(INSTALLED) ## the quick tests
	$(BIN)/python -m pytest -m "not slow and not slurm and not faults" -n $(TEST_WORKERS)

test-precision: $(INSTALLED) ## the tests that depend on it, with the numbers of either kind of processor: fp32, bf16
	AULIGHT_AUTO_PRECISION=32 $(BIN)/python -m pytest -m precision -n $(TEST_WORKERS)
	AULIGHT_AUTO_PRECISION=bf16-mixed $(BIN)/python -m pytest -m precision -n $(TEST_WORKERS)

test-slow: $(INSTALLED) ## the tests that train, kill and resume
	$(BIN)/python -m pytest -m slow -n $(TEST_WORKERS) --durations 15

test-faults: $(INSTALLED) ## kills, full disks, two commands at once, hostile files: tries and losses as a table
	FAULT_SHARE=$(FAULT_SHARE) $(BIN)/python -m pytest tests/faults -m faults -n $(TEST_WORKERS) --dist loadgroup \
		-o timeout=1500 -o faulthandler_timeout=1600

test-slurm: $(INSTALLED) ## the tests that need a Slurm cluster, run on one of its nodes
	$(BIN)/python -m pytest -m slurm

test-all: test test-precision test-slow test-faults ## every test

bench: $(INSTALLED) ## speeds and memory as ratios to their limits, row by row; 10 minutes on any machine
	$(BIN)/python tests/benchmarks

bench-columns: $(INSTALLED) ## how far head pose, gaze and quality in the tables of predict can be trusted
	$(BIN)/python tests/benchmarks/columns.py

bench-clips: $(INSTALLED) ## what the key frames of prepared videos cost and gain; the rows of docs/files.md
	$(BIN)/python tests/benchmarks/clips.py

bench-scale: $(INSTALLED) ## what a million simulated videos cost: opening, memory, loader; the rows of docs/scale.md
	$(BIN)/python tests/benchmarks/scale.py

bench-gpu: $(INSTALLED) ## both stages and finding faces on a GPU: frames/s, waiting, memory, share of its peak; 8 minutes, after the faces are drawn
	$(BIN)/python tests/benchmarks/gpu.py --data $(DATA)
	$(BIN)/python tests/benchmarks/faces.py

bench-stats: $(INSTALLED) ## by simulation: how often intervals hold the truth, and p-values raise a false alarm
	$(BIN)/python tests/benchmarks/stats.py

# ---- the result -------------------------------------------------------------------------------------------
# What is run stands in conf/experiment. Runs that are done are passed over and a run that was cut off goes on from its
# last checkpoint, so after an interruption the same command does what is missing.
#   SETTINGS      changes to the experiment, of both stages: SETTINGS="seed=0 steps=100"
#   SEEDS, FOLDS, FRACTIONS   instead of the experiment's; FRACTIONS of synthetic faces are those beside 2%

SWEEP = -m experiment=$(EXPERIMENT) $(SETTINGS) runs=$(RUNS) data_dir=$(DATA) hydra.launcher.n_jobs=$(JOBS) \
	$(if $(SEEDS),seed=$(SEEDS)) $(if $(FOLDS),fold=$(FOLDS))

define both-stages
@echo; echo "[1/3] stage one, without labels"
$(AULIGHT) pretrain $(SWEEP)
@echo; echo "[2/3] stage two, on top of stage one and from scratch"
$(AULIGHT) finetune $(SWEEP) $(if $(FRACTIONS),"hydra.sweeper.finetune.others.label_fraction='$(FRACTIONS)'")
@echo; echo "[3/3] report"
$(AULIGHT) report runs=$(RUNS)
endef

reproduce: data ## the main result: data, both stages, report; under 40 minutes on 2 cores with bf16
	$(both-stages)

reproduce-full: EXPERIMENT := reproduce-full
reproduce-full: data ## the same, more label fractions, five seeds, equal compute at all; four to five hours on 2 such cores
	$(both-stages)

reproduce-avatars: EXPERIMENT := avatars
reproduce-avatars: $(INSTALLED) ## the same on avatars, with the default model beside; three runs of stage one
	$(both-stages)

smoke: EXPERIMENT := smoke
smoke: SIZE := smoke
smoke: data ## the same path, too small to learn anything; 2 minutes on 2 cores with bf16, 7 of CPU time without
	$(both-stages)

# What was tried in stage two and what it brought, on validation subjects: the lines of conf/experiment/tries.yaml.
#   TRIES, FRACTIONS   folder of the tries and their report; RUNS is that of stage one, as `reproduce` makes it

TRIES ?= runs/tries

tries: EXPERIMENT := tries
tries: RUNS := runs/reproduce
tries: data ## what was tried in stage two, by validation subjects; 120 short runs, more than an hour on 2 such cores
	$(AULIGHT) pretrain $(SWEEP)
	$(AULIGHT) finetune $(SWEEP) root=$(TRIES) $(SHARES)
	$(AULIGHT) report runs=$(TRIES)

# The model that is in the box, from nothing: faces are rendered, and what is there already is not drawn again.

default-model: $(INSTALLED) ## make the default model anew from rendered faces; two to three hours on 2 CPU cores with bf16
	$(BIN)/python -m aulight.training.default_model make --folder "$(DATA)/default-model"

default-model-score: $(INSTALLED) ## read videos of both rigs with the default model and with the table of blendshapes
	$(BIN)/python -m aulight.training.default_model score --folder "$(DATA)/default-model"

# Real data. Stage one sees the videos of UNLABELLED, under the name of their folder, by which DISFA+ is refused for
# DISFA; or else, fold by fold, those of the training subjects; never their labels.
#   WEIGHTS   of timm's resnet18, as a file: for the baseline of a frozen ImageNet network
#   PREPARE, PREPARE_UNLABELLED   settings of `aulight prepare`, for example PREPARE=data.reader.camera=both

OTHER = $(notdir $(UNLABELLED:/=))
OTHER_DATA = data=folder "data.name='$(OTHER)'" "data.root='$(DATA)/unlabelled-$(OTHER)'"
SHARES = $(if $(FRACTIONS),label_fraction=$(FRACTIONS))

define real-data
@echo; echo "[1/5] prepare $(EXPERIMENT) $(OTHER)"
$(call timed,prepare $(EXPERIMENT),$(DATA)/$(EXPERIMENT)) $(AULIGHT) prepare data=$(EXPERIMENT) "data.source=$(RAW)" \
	data_dir=$(DATA) $(PREPARE)
$(if $(UNLABELLED),$(call timed,prepare $(OTHER),$(DATA)/unlabelled-$(OTHER)) $(AULIGHT) prepare $(OTHER_DATA) \
	"data.source=$(UNLABELLED)" $(PREPARE_UNLABELLED))
@echo; echo "[2/5] stage one, without labels"
$(call timed,stage one,$(RUNS)/pretrain) $(AULIGHT) pretrain $(SWEEP) \
	$(if $(UNLABELLED),$(OTHER_DATA) fold=1 name='unlabelled-seed$${seed}')
@echo; echo "[3/5] stage two, on top of stage one and from scratch"
$(call timed,stage two,$(RUNS)/finetune) $(AULIGHT) finetune $(SWEEP) $(SHARES) \
	$(if $(UNLABELLED),stage_one_run='unlabelled-seed$${seed}')
@echo; echo "[4/5] regression from blendshapes$(if $(WEIGHTS), and from a frozen network)"
$(call timed,blendshapes,$(RUNS)/finetune) $(AULIGHT) finetune $(filter-out model.%,$(SWEEP)) $(SHARES) \
	model=blendshapes start=scratch
$(if $(WEIGHTS),$(call timed,frozen network,$(RUNS)/finetune) $(AULIGHT) finetune $(filter-out model.%,$(SWEEP)) \
	$(SHARES) model=frozen "model.weights=$(WEIGHTS)" start=scratch)
@echo; echo "[5/5] report"
$(call timed,report,$(RUNS)/report) $(AULIGHT) report runs=$(RUNS)
endef

reproduce-disfa reproduce-bp4d: EXPERIMENT = $(@:reproduce-%=%)
reproduce-disfa reproduce-bp4d: JOBS := 1
reproduce-disfa: RAW = $(DISFA)
reproduce-bp4d: RAW = $(BP4D)

reproduce-disfa: need-DISFA $(INSTALLED) ## the same on DISFA=<raw dataset>, three folds; wants a GPU
	$(real-data)

reproduce-bp4d: need-BP4D $(INSTALLED) ## the same on BP4D=<raw dataset>, train and test of FERA 2015; wants a GPU
	$(real-data)

# The same on avatars in these datasets' layouts, at true size, filmed first where they are not there yet. What each step
# took is in RUNS/rehearsal.md.
#   REHEARSAL             folder of what is filmed and prepared
#   PEOPLE, FRAMES        fewer people, and frames of a video; OTHERS, OTHER_FRAMES: of the videos without labels

REHEARSAL ?= data/rehearsal
FILM = $(BIN)/python -m aulight.data.avatars rehearse
timed = $(if $(TIMES),$(BIN)/python tests/benchmarks/steps.py "$(TIMES)" "$(strip $1)" "$2")

rehearse-disfa rehearse-bp4d: EXPERIMENT = $(@:rehearse-%=%)
rehearse-disfa rehearse-bp4d: JOBS := 1
rehearse-disfa rehearse-bp4d: RUNS = runs/rehearse-$(EXPERIMENT)
rehearse-disfa rehearse-bp4d: DATA = $(REHEARSAL)/prepared
rehearse-disfa rehearse-bp4d: RAW = $(REHEARSAL)/$(EXPERIMENT)
rehearse-disfa rehearse-bp4d: UNLABELLED = $(REHEARSAL)/others
rehearse-disfa rehearse-bp4d: TIMES = $(RUNS)/rehearsal.md

define rehearsal
@echo; echo "[0/5] film avatars in the layout of $(EXPERIMENT), and others"
$(call timed,film $(EXPERIMENT),$(RAW)) $(FILM) $(EXPERIMENT) "$(RAW)" $(if $(PEOPLE),--people $(PEOPLE)) \
	$(if $(FRAMES),--frames $(FRAMES))
$(call timed,film $(OTHER),$(UNLABELLED)) $(FILM) others "$(UNLABELLED)" $(if $(OTHERS),--people $(OTHERS)) \
	$(if $(OTHER_FRAMES),--frames $(OTHER_FRAMES))
$(real-data)
@echo; cat "$(TIMES)"
endef

rehearse-disfa: $(INSTALLED) ## the way of reproduce-disfa on 27 avatars, filmed first; wants a GPU
	$(rehearsal)

rehearse-bp4d: $(INSTALLED) ## the way of reproduce-bp4d on 40 avatars, filmed first; wants a GPU
	$(rehearsal)

need-%:
	$(if $($*),,@echo "usage: make $(MAKECMDGOALS) $*=<raw dataset> [UNLABELLED=<folder of videos>]" >&2; exit 2)

data: $(INSTALLED) ## generate the synthetic faces into DATA
	@$(BIN)/python -m aulight.data.synthetic --dataset "$(DATA)/synthetic-$(SIZE)-seed0" --size $(SIZE)

faces: $(INSTALLED) ## draw the picture of the synthetic faces, docs/faces.png
	rm -f docs/faces.png
	$(BIN)/python -m aulight.data.synthetic --contact-sheet docs/faces.png

readable: $(INSTALLED) ## how well each AU of the synthetic faces can be read: all labels, 1200 steps; 6 minutes on 2 cores with bf16
	$(AULIGHT) finetune experiment=reproduce runs=runs/readable label_fraction=1.0 steps=1200
	$(AULIGHT) report runs=runs/readable

report: $(INSTALLED) ## tables and figures of the runs in RUNS once more
	$(AULIGHT) report runs=$(RUNS)

clean: ## remove caches and built packages; data/, runs/ and .venv stay
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find aulight tests -name __pycache__ -type d -prune -exec rm -rf {} +
