# Everything a person or CI does here. `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN    := .venv/bin
EDGE   := $(BIN)/edge
PYTEST := $(BIN)/python -m pytest -q -n 2

# --- what a target build takes; override on the command line ------------------------------------------------------
MODEL  ?= docs/examples/har_watch/model.py:trained
DEVICE ?=
LIMIT  ?=

# build/<NAME>/<target>: the folder of a model.py, else the file's stem
SOURCE := $(firstword $(subst :, ,$(MODEL)))
FOLDER := $(patsubst %/,%,$(dir $(SOURCE)))
NAME   := $(if $(filter model.py,$(notdir $(SOURCE))),$(notdir $(FOLDER)),$(basename $(notdir $(SOURCE))))

# a recipe.toml beside the model and a sample set of its name are taken without being asked for
RECIPE ?= $(wildcard $(FOLDER)/recipe.toml)
DATA   ?= $(patsubst calibration_data/%,%,$(wildcard calibration_data/$(NAME)))

TARGETS := $(patsubst targets/%/profile.toml,%,$(wildcard targets/*/profile.toml))
family   = $(patsubst targets/%/profile.toml,%,$(shell grep -lE '^family *= *"$(1)"' targets/*/profile.toml))
ANDROID := $(call family,android)
PI      := $(call family,raspberry-pi)
MCU     := $(call family,microcontroller)

# --- help ---------------------------------------------------------------------------------------------------------
.PHONY: help
help:  ## what you can make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-24s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nbuild for one target (bench-TARGET also runs and measures it):\n'
	@printf '    make %s\n' $(TARGETS)
	@printf '\nMODEL=%s\nRECIPE=%s\nDATA=%s\nDEVICE=%s\n' '$(MODEL)' '$(RECIPE)' '$(DATA)' '$(DEVICE)'

# --- environments: a stamp named after what went in, so that nothing is done twice --------------------------------
# (of pyproject.toml without the [tool] tables)
digest = $(shell sed -s '/^\[tool/,$$d' $(1) | sha256sum | cut -c1-16)
READY        := .venv/ready-$(call digest,pyproject.toml setup.py toolchain/quantize/counting.c requirements/constraints.txt \
                 requirements/no-deps.txt)
READY_TFLITE := .venv-tflite-runtime/ready-$(call digest,requirements/tflite-runtime.txt)
READY_PEERS  := .venv-peers/ready-$(call digest,requirements/peers.txt requirements/no-deps.txt)
READY_NNCF   := .venv-nncf/ready-$(call digest,requirements/peers-nncf.txt)
READY_TORCH_PRUNING := .venv-torch-pruning/ready-$(call digest,requirements/torch-pruning.txt requirements/no-deps.txt)
READY_TENSORFLOW := .venv-tensorflow/ready-$(call digest,requirements/tensorflow.txt)
READY_LABGRID := .venv-labgrid/ready-$(call digest,requirements/labgrid.txt)

.PHONY: setup setup-tflite-runtime setup-tensorflow setup-labgrid setup-peers setup-nncf setup-torch-pruning
setup: $(READY)  ## system packages and .venv/ with .venv/bin/edge
setup-tflite-runtime: $(READY_TFLITE)  ## a second environment, with the runtime that older devices have
setup-tensorflow: $(READY_TENSORFLOW)  ## a third, 1.6 GB, that reads Keras models and SavedModels
setup-labgrid: $(READY_LABGRID)  ## one, 77 MB, that speaks to the coordinator of a lab of boards
setup-peers: $(READY_PEERS)  ## a fourth, with the converter and quantizer that we are compared with
setup-nncf: $(READY_NNCF)  ## a fifth, with NNCF, that we are compared with too
setup-torch-pruning: $(READY_TORCH_PRUNING)  ## a sixth, with the tool that pruning is compared with

# torch goes in first, by its exact version: asked for as a range, or by another package, pip takes the newest.
$(READY):
	scripts/setup_system.sh $(PYTHON)
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint requirements/constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --constraint requirements/constraints.txt --editable '.[torch,demo,test]'
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement requirements/no-deps.txt
	$(BIN)/pip check
	@rm -f .venv/ready-* && touch $@

$(READY_TFLITE):
	scripts/setup_system.sh $(PYTHON)
	$(PYTHON) -m venv .venv-tflite-runtime
	.venv-tflite-runtime/bin/pip install --quiet --requirement requirements/tflite-runtime.txt
	@rm -f .venv-tflite-runtime/ready-* && touch $@

$(READY_TENSORFLOW):
	scripts/setup_system.sh $(PYTHON)
	$(PYTHON) -m venv .venv-tensorflow
	.venv-tensorflow/bin/pip install --quiet --no-deps --requirement requirements/tensorflow.txt
	@rm -f .venv-tensorflow/ready-* && touch $@

$(READY_LABGRID):
	scripts/setup_system.sh $(PYTHON)
	$(PYTHON) -m venv .venv-labgrid
	.venv-labgrid/bin/pip install --quiet --no-deps --requirement requirements/labgrid.txt
	@rm -f .venv-labgrid/ready-* && touch $@

$(READY_PEERS):
	scripts/setup_system.sh $(PYTHON)
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet torch==2.13.0
	.venv-peers/bin/pip install --quiet --requirement requirements/peers.txt
	.venv-peers/bin/pip install --quiet --no-deps --require-hashes --requirement requirements/no-deps.txt
	@rm -f .venv-peers/ready-* && touch $@

$(READY_NNCF):
	scripts/setup_system.sh $(PYTHON)
	$(PYTHON) -m venv .venv-nncf
	.venv-nncf/bin/pip install --quiet --requirement requirements/peers-nncf.txt
	@rm -f .venv-nncf/ready-* && touch $@

$(READY_TORCH_PRUNING):
	scripts/setup_system.sh $(PYTHON)
	$(PYTHON) -m venv .venv-torch-pruning
	.venv-torch-pruning/bin/pip install --quiet --constraint requirements/constraints.txt torch==2.13.0
	.venv-torch-pruning/bin/pip install --quiet --requirement requirements/torch-pruning.txt
	.venv-torch-pruning/bin/pip install --quiet --no-deps --require-hashes --requirement requirements/no-deps.txt
	@rm -f .venv-torch-pruning/ready-* && touch $@

.PHONY: setup-devices
setup-devices: setup  ## the emulated Raspberry Pi and Android phone, of Debian's packages; 400 MB in ~/.cache/edge
	scripts/setup_system.sh $(PYTHON)
	$(BIN)/python -m toolchain.device.machines

PHOTOS := calibration_data/photos/manifest.toml
.PHONY: data
data: $(PHOTOS)  ## the sample sets that are not committed
$(PHOTOS): scripts/prepare_photos.py scripts/sample_set.py scripts/wheels.py | $(READY)
	$(BIN)/python scripts/prepare_photos.py

# --- judge --------------------------------------------------------------------------------------------------------
.PHONY: check test test-slow demo zoo benchmark-peers benchmark-onnx benchmark-islands benchmark-zoo benchmark-accuracy benchmark-microcontroller benchmark-pruning benchmark-adaptive benchmark-conditional benchmark-pruning-zoo benchmark-training benchmark-search benchmark-measurement benchmark-scheduling costs soak doctor
check: setup  ## lint and the layer test, seconds
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -q tests/test_layers.py

test: setup data  ## everything that needs neither QEMU nor patience
	$(PYTEST) -m "not emulated and not slow"

test-slow: setup setup-tflite-runtime setup-tensorflow setup-labgrid setup-devices data  ## firmware on QEMU, other runtimes, whole networks
	$(PYTEST) -m "emulated or slow"

demo: setup data  ## the main job: two networks, every target, one table
	$(BIN)/python scripts/demo.py

zoo: setup data  ## every network that the doors are judged by, from source to C; writes docs/zoo.md
	PYTHONPATH=. $(BIN)/python scripts/zoo_table.py

benchmark-peers: setup setup-peers data  ## our files and our conversion beside the vendors' tools; QUICK=1: fewer runs
	$(BIN)/python scripts/benchmark_peers.py $(if $(QUICK),--quick)

benchmark-onnx: setup data  ## its .onnx part alone, without the vendors' environment; QUICK=1: fewer runs
	$(BIN)/python scripts/benchmark_onnx.py $(if $(QUICK),--quick)

benchmark-calibration: setup setup-peers setup-nncf data  ## calibration's cost beside the others', and INT8's accuracy; QUICK=1: fewer
	$(BIN)/python scripts/benchmark_calibration_cost.py $(if $(QUICK),--quick)
	PYTHONPATH=. $(BIN)/python scripts/benchmark_accuracy.py $(if $(QUICK),--quick)

benchmark-islands: setup  ## INT8 networks that attend beside their float versions in LiteRT
	PYTHONPATH=. $(BIN)/python scripts/benchmark_islands.py

benchmark-zoo: setup setup-peers data  ## the zoo's files beside the vendors'; QUICK=1: fewer runs; ONLY=name,name
	PYTHONPATH=. $(BIN)/python scripts/benchmark_zoo.py $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

benchmark-accuracy: setup setup-peers setup-nncf data  ## accuracy of INT8 beside the vendors' tools; needs the kit
	PYTHONPATH=. $(BIN)/python scripts/benchmark_accuracy.py $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

benchmark-microcontroller: setup  ## generated C beside TensorFlow Lite Micro, on every emulated core; needs the kit
	PYTHONPATH=. $(BIN)/python scripts/benchmark_microcontroller.py $(if $(ONLY),--only $(ONLY)) $(if $(CORES),--cores $(CORES))

benchmark-pruning: setup setup-torch-pruning data  ## pruning beside Torch-Pruning, and what it gains on the target; needs the kit; QUICK=1: one network, one seed
	PYTHONPATH=. $(BIN)/python scripts/benchmark_pruning.py $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(SEEDS),--seeds $(SEEDS))

benchmark-adaptive: setup data  ## cascades on an emulated Cortex-M4; needs the kit; QUICK=1: one seed; SEEDS=9,10
	PYTHONPATH=. $(BIN)/python scripts/benchmark_adaptive.py $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(SEEDS),--seeds $(SEEDS))

benchmark-conditional: setup data  ## switchable widths and bits, and gates, beside pruning and cascades; needs the kit; resumes; QUICK=1: a minute, no kit
	OMP_NUM_THREADS=1 PYTHONPATH=. $(BIN)/python scripts/compare_conditional.py $(if $(QUICK),--quick) $(if $(NETWORKS),--networks $(NETWORKS)) $(if $(SEEDS),--seeds $(SEEDS))

benchmark-pruning-zoo: setup setup-torch-pruning data  ## which networks of the zoo can be pruned at all, by us and by Torch-Pruning; writes docs/pruning-zoo.md
	PYTHONPATH=. $(BIN)/python scripts/benchmark_pruning_zoo.py

benchmark-training: setup data  ## what distillation and quantization-aware training win back; smaller networks that remember, attend, draw; needs the kit; QUICK=1: one seed, no kit
	PYTHONPATH=. $(BIN)/python scripts/benchmark_training.py $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(NETWORKS),--networks $(NETWORKS)) $(if $(SEEDS),--seeds $(SEEDS))

benchmark-search: setup data  ## whether a search beats chance and uniform ratios with as many trials; needs the kit; hours; resumes; QUICK=1: minutes, no kit
	PYTHONPATH=. $(BIN)/python scripts/benchmark_search.py $(if $(QUICK),--quick) $(if $(NETWORKS),--networks $(NETWORKS)) $(if $(SEEDS),--seeds $(SEEDS))

benchmark-measurement: setup  ## how often a comparison of two artefacts is right: 200 pairs, and beside a busy process; QUICK=1: a tenth
	PYTHONPATH=. $(BIN)/python scripts/benchmark_measurement.py $(if $(QUICK),--quick)

benchmark-scheduling: setup setup-labgrid  ## what claims, leases and records cost a job, and a place of a lab; needs Debian's postgresql
	PYTHONPATH=. $(BIN)/python scripts/benchmark_scheduling.py

costs: setup  ## what every kernel of the C door costs on every emulated core; writes toolchain/lower/c/costs.toml
	PYTHONPATH=. $(BIN)/python scripts/measure_kernels.py

soak: setup  ## 10,000 damaged files of each format through its door, 100 killed campaigns, 20 of each fault; COUNT=500 SHARE=0.05: fewer
	$(BIN)/python scripts/soak.py $(if $(COUNT),--count $(COUNT))
	PYTHONPATH=. $(BIN)/python scripts/soak_campaigns.py $(if $(SHARE),--share $(SHARE))

doctor: setup  ## what this machine has and lacks
	$(EDGE) doctor

.PHONY: clean
clean:  ## remove what was built (environments stay)
	rm -rf build .pytest_cache .ruff_cache .hypothesis *.egg-info
	find toolchain tests scripts docs -name __pycache__ -prune -exec rm -rf {} +

# --- targets ------------------------------------------------------------------------------------------------------
.PHONY: $(TARGETS) $(TARGETS:%=bench-%)
$(TARGETS): %: setup
	$(EDGE) build $(MODEL) --target $@ $(if $(DATA),--data $(DATA)) $(if $(RECIPE),--recipe $(RECIPE)) --out build/$(NAME)/$@

# on a device of boards.toml, or an emulated one, in every way that it has, accuracy too
BENCH = $(if $(DEVICE),--device $(DEVICE) --all)$(if $(and $(DEVICE),$(DATA)), --data $(DATA))$(if $(LIMIT), --limit $(LIMIT))
$(TARGETS:%=bench-%): bench-%: %
	$(EDGE) bench build/$(NAME)/$* $(BENCH)

# a family: what one board has no room for is refused with the shortfall, the others are built all the same
ALL_OF := $(MAKE) --no-print-directory --keep-going -o setup
.PHONY: android raspberry-pi microcontroller bench-android bench-raspberry-pi bench-microcontroller
android: setup  ## build for the whole family
	+@$(ALL_OF) $(ANDROID)
raspberry-pi: setup  ## build for the whole family
	+@$(ALL_OF) $(PI)
microcontroller: setup  ## build for the whole family
	+@$(ALL_OF) $(MCU)
bench-android: setup  ## build, run and measure the family
	+@$(ALL_OF) $(ANDROID:%=bench-%)
bench-raspberry-pi: setup  ## build, run and measure the family
	+@$(ALL_OF) $(PI:%=bench-%)
bench-microcontroller: setup  ## build, run and measure the family
	+@$(ALL_OF) $(MCU:%=bench-%)
