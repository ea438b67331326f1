# make demo    a made dataset, Tables 1 and 2 and Figure 2, within a minute      make test    the tests, side by side
# make paper   everything config.yaml names, in days                          make docker  the same environment in an image
#
# Each target installs what it needs into .venv first. PYTHON names the interpreter (3.11 to 3.14), TORCH=cpu or cuda
# the build of torch (default: cuda where nvidia-smi works), CORES the cores to use. docs/install.md has the rest.

CORES ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
DOCKER ?= docker

BIN := .venv/bin
# Everything in a lock is pinned with its hash and complete, so nothing is left to resolve. What is never imported is
# never compiled.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile --require-hashes --no-deps
CPU_INDEX := https://download.pytorch.org/whl/cpu
SNAKEMAKE := $(BIN)/snakemake

# A .venv that is there decides on both, unless they are asked for by name.
VENV_TORCH := $(shell cat .venv/installed 2>/dev/null)
PYTHON ?= $(shell test -x $(BIN)/python && echo $(BIN)/python || echo python3)
TORCH ?= $(or $(VENV_TORCH),$(shell nvidia-smi >/dev/null 2>&1 && echo cuda || echo cpu))

.DELETE_ON_ERROR:
.PHONY: install fitting demo demo-all test test-slow test-faults lint hooks bench bench-quick gpu paper crate docker docker-demo lock clean

install: .venv/installed

# Stops, and says what to do, where .venv is not what is asked for.
fitting:
	@case "$(TORCH)" in cpu|cuda) ;; *) echo "TORCH=$(TORCH): expected cpu or cuda" >&2; exit 1;; esac
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "createrec needs Python 3.11 or newer; $(PYTHON) is" \
	         "$$($(PYTHON) -c 'import platform; print(platform.python_version())' 2>/dev/null || echo not there)." \
	         "Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@if [ -e .venv ]; then \
	    version='import sys; print("%d.%d" % sys.version_info[:2])'; \
	    wanted=$$($(PYTHON) -c "$$version"); found=$$($(BIN)/python -c "$$version" 2>/dev/null || echo "that is gone"); \
	    if [ "$$wanted" != "$$found" ]; then \
	        echo ".venv is of a Python $$found, expected $$wanted: rm -r .venv, then the same command again" >&2; exit 1; \
	    fi; \
	    if [ "$(or $(VENV_TORCH),$(TORCH))" != "$(TORCH)" ]; then \
	        echo ".venv has the $(VENV_TORCH) build of torch, expected $(TORCH): rm -r .venv, then the same command again" >&2; \
	        exit 1; \
	    fi; \
	fi

.venv/installed: pyproject.toml envs/requirements.lock envs/torch-cpu.lock envs/torch-cuda.lock | fitting
	@echo "Installing the pinned requirements into .venv ($(if $(filter cpu,$(TORCH)),1.4 GB,6 GB, CUDA with it); minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { \
	    echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
ifeq ($(TORCH),cpu)
	@$(PIP) --extra-index-url $(CPU_INDEX) --requirement envs/torch-cpu.lock 2>.venv/torch.log || { \
	    tail -n 3 .venv/torch.log >&2; \
	    echo "The CPU build of torch could not be had. It comes from $(CPU_INDEX) (all of it: .venv/torch.log)." \
	         "Let this machine reach that address, or put the wheel into a folder and set PIP_FIND_LINKS=FOLDER," \
	         "or take the CUDA build from the public index, 6 GB, which works without a GPU too: make TORCH=cuda ..." >&2; \
	    exit 1; }
else
	@$(PIP) --requirement envs/torch-cuda.lock
endif
	@$(PIP) --requirement envs/requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@echo $(TORCH) >$@

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

# Side by side, one thread each. SLOWEST tests are listed at the end.
SLOWEST := 20

test: .venv/installed-dev
	@PATH="$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" \
	    --numprocesses $(CORES) --no-loadscope-reorder --durations $(SLOWEST)

test-slow: .venv/installed-dev
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -m slow --timeout 7200

test-faults: .venv/installed-dev
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest tests/faults --timeout 7200
	@$(BIN)/python tests/faults/fuzz.py

# Style of the code, of the workflow, types, and what Snakemake finds in the rules.
lint: .venv/installed-dev
	@$(BIN)/ruff check && $(BIN)/ruff format --check
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakefmt --check Snakefile workflow
	@$(BIN)/mypy
	@$(SNAKEMAKE) --lint

# The fast ones of these before each commit.
hooks: .venv/installed-dev
	@$(BIN)/pre-commit install

bench: install
	@$(BIN)/python benchmarks/run.py

bench-quick: install
	@$(BIN)/python benchmarks/run.py --quick

# On a machine with an NVIDIA GPU: its tests, its speed, then the missing runs; benchmarks/README.md.
gpu: install
	@$(BIN)/python benchmarks/gpu.py

paper: install
	@$(SNAKEMAKE) all --cores $(CORES)

# results/published/ro-crate-metadata.json: what the published results are, for machines.
crate: .venv/installed-dev
	@$(BIN)/python workflow/scripts/crate.py

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
	@rm -rf demo .pytest_cache .ruff_cache .mypy_cache .hypothesis .snakemake/log
