# make demo    a made dataset, Tables 1 and 2 and Figure 2, in minutes      make test    the tests, at most ten minutes
# make paper   everything config.yaml names, in days                       make docker  the same environment in an image
#
# Each target installs what it needs into .venv first. PYTHON names the interpreter (3.11 or newer), TORCH=cpu or cuda
# the build of torch (default: cuda where nvidia-smi works), CORES the cores to use.

PYTHON ?= python3
TORCH ?= $(shell nvidia-smi >/dev/null 2>&1 && echo cuda || echo cpu)
CORES ?= $(shell nproc 2>/dev/null || echo 2)
DOCKER ?= docker

BIN := .venv/bin
# Everything in a lock is pinned with its hash and complete, so nothing is left to resolve.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps
TORCH_CPU := --retries 0 --extra-index-url https://download.pytorch.org/whl/cpu --requirement envs/torch-cpu.lock
SNAKEMAKE := $(BIN)/snakemake

.DELETE_ON_ERROR:
.PHONY: install demo demo-all test test-slow test-faults lint bench bench-quick paper docker docker-demo lock clean

install: .venv/installed

.venv/installed: pyproject.toml envs/requirements.lock envs/torch-cpu.lock envs/torch-cuda.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "createrec needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	         "Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Installing the pinned requirements into .venv (1 GB without CUDA, 6 GB with it; minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { \
	    echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
ifeq ($(TORCH),cpu)
	@$(PIP) $(TORCH_CPU) 2>.venv/torch.log || { \
	    echo "No CPU build of torch for this Python was found; taking the CUDA build (why: .venv/torch.log)"; \
	    $(PIP) --requirement envs/torch-cuda.lock; }
else
	@$(PIP) --requirement envs/torch-cuda.lock
endif
	@$(PIP) --requirement envs/requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/installed-dev: .venv/installed envs/requirements-dev.lock
	@$(PIP) --requirement envs/requirements-dev.lock
	@touch $@

# One thread a training: the runs are so small that two side by side are faster than one on two cores.
DEMO := --configfile config/demo.yaml --directory demo --cores $(CORES) --set-threads train=1 evaluate=1

demo: install
	@$(SNAKEMAKE) demo $(DEMO)
	@cat demo/results/tables/table1.md demo/results/tables/table2.md
	@echo; echo "The files:"; ls demo/results/tables/table[12].* demo/paper_figures/figure2.*

# Every table and figure, the comparison, and the report in one page.
demo-all: install
	@$(SNAKEMAKE) all $(DEMO)
	@$(SNAKEMAKE) all --report report.html $(DEMO)
	@echo; echo "The files:"; ls demo/report.html demo/results/tables/*.md demo/paper_figures/*.png demo/results/comparison/*.md

test: .venv/installed-dev
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -m "not slow"

test-slow: .venv/installed-dev
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -m slow --timeout 7200

test-faults: .venv/installed-dev
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest tests/faults --timeout 7200
	@$(BIN)/python tests/faults/fuzz.py

lint: .venv/installed-dev
	@$(BIN)/ruff check && $(BIN)/ruff format --check
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakefmt --check Snakefile workflow
	@$(SNAKEMAKE) --lint

bench: install
	@$(BIN)/python benchmarks/run.py

bench-quick: install
	@$(BIN)/python benchmarks/run.py --quick

paper: install
	@$(SNAKEMAKE) all --cores $(CORES)

docker:
	@$(DOCKER) build --tag createrec .

docker-demo: docker
	@mkdir -p demo
	@$(DOCKER) run --rm --user "$$(id -u):$$(id -g)" --volume "$(CURDIR)/demo:/work" createrec \
	    demo --configfile config/demo.yaml --cores $(CORES)

# Needs uv. Afterwards `make install` brings .venv up to date.
lock:
	@$(PYTHON) envs/lock.py

# The demo and what tools keep for themselves; never results/ or data/.
clean:
	@rm -rf demo .pytest_cache .ruff_cache .hypothesis .snakemake/log
