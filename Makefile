# Every target installs what it needs into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_FLAGS ?= --quiet --disable-pip-version-check
CONSTRAINTS ?= constraints.txt

STUDY_QUIET := print_config=false trainer.enable_progress_bar=false callbacks.model_summary=null

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow test-corruptions lint format benchmark \
  docs notebooks studies claims study-digits study-losses study-methods study-synthetic tune-losses tune-methods \
  check-ddp check-faults check-gpu slurm-check clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "Python 3.11, 3.12 or 3.13 is needed ($(PYTHON) is another): make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the package and what it needs into $(VENV) (several GB with PyTorch, a few minutes)"
	$(BIN)/python -m pip install $(PIP_FLAGS) --constraint $(CONSTRAINTS) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install $(PIP_FLAGS) --constraint $(CONSTRAINTS) --editable '.[dev]'
	@touch $@

install: $(VENV)/.installed ## Make .venv with the package in it

demo: $(VENV)/.installed ## L1 against Rank-N-Contrast on rotated digits: a table and plots, in minutes
	$(BIN)/python -m rnc_lightning.demo

test: $(VENV)/.installed-dev ## All tests but the slow ones
	$(BIN)/python -m pytest -m 'not slow' --numprocesses=2 --dist=worksteal

test-slow: $(VENV)/.installed-dev ## The slow tests
	$(BIN)/python -m pytest -m slow

# The package asks for an OpenCV of its own that would replace ours, so what it needs is named here.
test-corruptions: $(VENV)/.installed-dev ## The corruptions beside those of imagecorruptions-imaug, which it installs
	$(BIN)/python -m pip install $(PIP_FLAGS) --no-deps 'imagecorruptions-imaug==1.1.5'
	$(BIN)/python -m pip install $(PIP_FLAGS) --constraint $(CONSTRAINTS) numba scikit-image
	$(BIN)/python -m pytest tests/datasets/images/test_corruptions.py

lint: $(VENV)/.installed-dev ## Format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install $(PIP_FLAGS) --constraint $(CONSTRAINTS) --editable '.[docs]'
	@touch $@

docs: $(VENV)/.installed-docs ## The documentation site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "the site is in site/: $(BIN)/python -m http.server --directory site"

notebooks: $(VENV)/.installed-dev ## Run the notebooks anew and store their outputs, a few minutes
	OMP_NUM_THREADS=1 $(BIN)/python notebooks/execute.py

benchmark: $(VENV)/.installed-dev ## Time of the loss, long batches, the linear probe and the input pipeline
	$(BIN)/python benchmarks/rnc_loss.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/long_batches.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/linear_probe.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/diagnostics.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/input_pipeline.py

check-ddp: $(VENV)/.installed-dev ## Several processes against one, sweeps and their launchers: docs/checked (a quarter of an hour)
	OMP_NUM_THREADS=1 $(BIN)/python checks/ddp.py --out docs/checked/ddp.md
	OMP_NUM_THREADS=1 $(BIN)/python checks/sweeps.py

check-faults: $(VENV)/.installed-dev ## What goes wrong with a run, done on purpose: docs/checked (half an hour)
	OMP_NUM_THREADS=1 $(BIN)/python checks/faults.py --out docs/checked/faults.md

OUT ?= runs/gpu_check

check-gpu: $(VENV)/.installed-dev ## What a GPU does with the suite: OUT/gpu.md (eight minutes; without a GPU a tiny rehearsal)
	PYTHON=$(BIN)/python bash checks/gpu.sh $(OUT)

slurm-check: $(VENV)/.installed-dev ## Runs stopped and requeued by a real Slurm on this machine (Debian, as root, 10 minutes)
	$(BIN)/python checks/slurm/check.py

study-digits: $(VENV)/.installed ## The study of experiments/digits: 35 runs, about half an hour
	OMP_NUM_THREADS=1 $(BIN)/python -m rnc_lightning.train -m +experiment=digits_l1 \
	  recipe.end_to_end.lr=0.01,0.02,0.05,0.1 seed=0,1,2,3,4 $(STUDY_QUIET)
	OMP_NUM_THREADS=1 $(BIN)/python -m rnc_lightning.train -m +experiment=digits_rnc \
	  recipe.pretrain.lr=0.1,0.2,0.5 recipe.linear_probe.epochs=10 recipe.linear_probe.lr=0.05 seed=0,1,2,3,4 \
	  $(STUDY_QUIET)
	$(BIN)/python experiments/digits/compare.py runs

study-losses: $(VENV)/.installed ## The study of experiments/regression_losses: 70 runs, about half an hour
	OMP_NUM_THREADS=1 $(BIN)/python -m rnc_lightning.train -m +experiment=digits_rnc \
	  head=l1,mse,huber,dex,dldl_v2,or,corn scheme=linear_probe,end_to_end seed=0,1,2,3,4 \
	  paths.output_dir=runs/regression_losses $(STUDY_QUIET)
	$(BIN)/python -m rnc_lightning.report runs/regression_losses out=experiments/regression_losses/results

STUDIES := ordinality representations robustness reduced_data transfer unseen_targets ablations spurious_targets theory

studies: $(VENV)/.installed ## The paper's other studies on digits, and the page of claims: two to three hours
	for name in $(STUDIES); do \
	  OMP_NUM_THREADS=1 $(BIN)/python -m rnc_lightning.study $$name data=digits out=experiments/$$name/results || exit 1; \
	done
	$(MAKE) claims

claims: $(VENV)/.installed ## experiments/README.md: every claim of the paper, published, measured, holds or not
	$(BIN)/python experiments/claims.py

METHODS_STUDY := OMP_NUM_THREADS=1 $(BIN)/python experiments/competing_methods/study.py

study-methods: $(VENV)/.installed ## The study of experiments/competing_methods: 95 runs, an hour or two
	$(METHODS_STUDY) run runs/competing_methods
	$(BIN)/python -m rnc_lightning.report runs/competing_methods/five_seeds out=experiments/competing_methods/results
	$(BIN)/python experiments/competing_methods/summary.py runs/competing_methods/five_seeds experiments/competing_methods/results

tune-methods: $(VENV)/.installed ## The learning rates of that study, from a seed that it does not report: an hour or two
	$(METHODS_STUDY) tune runs/competing_methods

MADE := runs/made
SEEDS ?= 0
SYNTHETIC := OMP_NUM_THREADS=1 RNC_DATA=$(MADE) $(BIN)/python -m rnc_lightning.train -m recipe=small data.num_workers=0 \
  seed=$(SEEDS) paths.output_dir=runs/synthetic $(STUDY_QUIET)
SMALL_IMAGES := encoder=small_resnet input.size=48
SMALL_SIGNALS := encoder.width=16 data.window=4 data.on_bad=skip recipe.pretrain.epochs=60 recipe.pretrain.batch_size=32 \
  recipe.end_to_end.epochs=90 recipe.end_to_end.batch_size=32

study-synthetic: $(VENV)/.installed ## The study of experiments/synthetic: synthetic data of all five data sets, about an hour
	for name in agedb imdb_wiki tuab mpiifacegaze skyfinder; do \
	  grep -qs "^- $$name:" $(MADE)/SYNTHETIC_DATA.txt || $(BIN)/python -m rnc_lightning.data synthesize $$name out=$(MADE) \
	    || exit 1; \
	done
	$(SYNTHETIC) data=agedb method=rnc,l1 $(SMALL_IMAGES)
	$(SYNTHETIC) data=imdb_wiki method=rnc,l1 $(SMALL_IMAGES) data.subset.size=2000
	$(SYNTHETIC) data=tuab method=rnc,l1 $(SMALL_SIGNALS)
	$(SYNTHETIC) data=mpiifacegaze method=rnc,l1 $(SMALL_IMAGES)
	$(SYNTHETIC) data=skyfinder method=rnc,l1 $(SMALL_IMAGES)
	$(BIN)/python -m rnc_lightning.report runs/synthetic out=experiments/synthetic/results

TUNE := OMP_NUM_THREADS=1 $(BIN)/python -m rnc_lightning.train -m +experiment=digits_rnc seed=100,101 \
  paths.output_dir=runs/learning_rates $(STUDY_QUIET)

tune-losses: $(VENV)/.installed ## The learning rates of that study, from seeds that it does not report: about an hour
	$(TUNE) scheme=end_to_end head=l1 recipe.end_to_end.lr=0.01,0.02,0.05,0.1
	$(TUNE) scheme=end_to_end head=mse recipe.end_to_end.lr=0.0002,0.0005,0.001,0.002
	$(TUNE) scheme=end_to_end head=huber recipe.end_to_end.lr=0.01,0.02,0.05
	$(TUNE) scheme=end_to_end head=dex recipe.end_to_end.lr=0.1,0.2,0.5,1,2
	$(TUNE) scheme=end_to_end head=dldl_v2 recipe.end_to_end.lr=0.01,0.02,0.05,0.1
	$(TUNE) scheme=end_to_end head=or recipe.end_to_end.lr=0.01,0.02,0.05
	$(TUNE) scheme=end_to_end head=corn recipe.end_to_end.lr=1,2,5,10,20
	$(TUNE) recipe.linear_probe.epochs=10,30 head=l1,huber recipe.linear_probe.lr=0.05,0.1,0.2
	$(TUNE) recipe.linear_probe.epochs=10,30 head=mse recipe.linear_probe.lr=0.001,0.002,0.005
	$(TUNE) recipe.linear_probe.epochs=10,30 head=dex recipe.linear_probe.lr=0.1,0.2,0.5
	$(TUNE) recipe.linear_probe.epochs=10,30 head=dldl_v2 recipe.linear_probe.lr=0.0005,0.001,0.002,0.005,0.01
	$(TUNE) recipe.linear_probe.epochs=10,30 head=or recipe.linear_probe.lr=0.02,0.05,0.1,0.2,0.5
	$(TUNE) recipe.linear_probe.epochs=10,30 head=corn recipe.linear_probe.lr=2,5,10,20
	$(BIN)/python experiments/regression_losses/learning_rates.py runs/learning_rates

clean: ## Remove the environment and caches, keep the runs
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build dist site
