"""Helpers of all rules: the checked configuration, the plan of runs, and the source files each rule depends on."""

import dataclasses
import json
import os
import shlex
import sys
from functools import cache
from pathlib import Path

from createrec.config import anchored, checked, read_settings
from createrec.data import registry
from createrec.data.datasets import not_prepared_so, not_split_so
from createrec.errors import CreaterecError
from createrec.exhibits import BY_NAME, GROUPS, of_kind, wanted
from createrec.files import read_json, write_json
from createrec.matching import Preparations, differences, summary, training_differences
from createrec.plan import by_folder, plan
from createrec.provenance import Sources
from createrec.tuning.space import study_slice
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# The project's folder, whichever Snakefile was named: that of the root, workflow/Snakefile, or one that uses this
# workflow as a module. Seen from the working directory, so that moving the project reruns nothing.
PROJECT_FOLDER = Path(str(workflow.current_basedir)).parents[1]
ROOT = os.path.relpath(PROJECT_FOLDER)

# `createrec` of the environment that runs Snakemake, whether that environment was activated or not. The prefix
# replaces Snakemake's own, which stops at the first error: without pipefail a failure would hide behind `tee`.
shell.prefix(f"set -euo pipefail; export PATH={shlex.quote(os.path.dirname(sys.executable))}:$PATH; ")


def at_root(path):
    """A path of the project, usable from the working directory."""
    return os.path.normpath(os.path.join(ROOT, path))


def local(path):
    """A path as seen from the working directory, where it lies below it: moving a whole project reruns nothing."""
    path, here = Path(path), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def configured():
    """Reads config.yaml and its overlays, and lays out the plan.

    They are read again and not taken from Snakemake, whose merged configuration no longer knows which file named a
    relative path. What is given by --config on the command line comes last, its paths seen from the working directory.

    Returns:
        The plain settings with absolute paths, the typed configuration, the plan (group -> cells), and all runs by
        folder.

    Raises:
        WorkflowError: a key, value or name is wrong; the message is createrec's own.
    """
    given = workflow.config_settings
    paths = [] if given.replace_workflow_config else [str(PROJECT_FOLDER / "config.yaml")]
    paths += map(str, workflow.overwrite_configfiles)
    try:
        settings = read_settings(paths, anchored(given.config, Path.cwd()))
        project = checked(settings, paths)
        layout = plan(project)
        return settings, project, layout, by_folder(layout)
    except CreaterecError as error:
        raise WorkflowError(str(error)) from None


SETTINGS, PROJECT, PLAN, RUNS = configured()


# The configuration with all its overlays, for commands that look up the whole plan, and as a record of what was run,
# with where each run's settings were taken from. Not the outputs of a rule, because what such a command depends on is
# its slice in `params`, not the whole file.
onstart:
    write_json("results/config.json", SETTINGS)
    write_json("results/sources.json", {folder: run.sources for folder, run in RUNS.items()})
    # For its limit of jobs per second Snakemake 9 looks at its queue once more per second for each job that has ended:
    # a core, after some hundred. The limit protects a cluster's scheduler; processes here need none.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


wildcard_constraints:
    dataset="|".join(PROJECT.datasets),
    model="|".join(PROJECT.models),
    setup="|".join(PROJECT.setups.model_dump(by_alias=True)),
    variant=r"[\w.-]+",
    seed=r"\d+",


# --- the source files of each rule ---------------------------------------------------------------------------------
# Snakemake does not see what a command imports, so each rule names the source files it depends on as inputs. They
# follow from the imports (createrec.provenance): a file whose edit cannot change a rule's output must not rerun it.

SOURCES = Sources(PROJECT_FOLDER / "src" / "createrec")


@cache
def seen_from_here(file):
    return os.path.relpath(file)


def source_inputs(files):
    return [seen_from_here(file) for file in files]


def code_of(rule_name):
    return source_inputs(SOURCES.of_rule(rule_name))


def code_of_exhibits(exhibits):
    """The files behind what renders some tables, figures or pages."""
    return source_inputs(SOURCES.of_files(exhibit.source for exhibit in exhibits))


def prepare_code(wildcards):
    return code_of("generate" if is_generated(wildcards.dataset) else "prepare")


def stops_early(run):
    """Whether a training looks at the validation fold (createrec.runs.run.stops_early, before there is a split)."""
    setup = PROJECT.setups.model_dump(by_alias=True)[run.setup]
    return run.fold == "validation" or (run.fold == "test" and not setup.get("retrain", True))


def train_code(wildcards):
    run = run_of(wildcards)
    return source_inputs(SOURCES.of_training(run.settings, validates=stops_early(run)))


def evaluate_code(wildcards):
    return source_inputs(SOURCES.of_record(run_of(wildcards).settings))


def tune_code(wildcards):
    return source_inputs(SOURCES.of_study(study_of(wildcards)["run"]["settings"]))


# --- slices of the configuration: what a rule's `params` hold, and nothing more ------------------------------------


def as_json(value):
    return json.dumps(value, sort_keys=True)


def is_generated(dataset):
    """`demo` comes from a generator, unless the configuration gives that name to a file."""
    return dataset == "demo" and PROJECT.datasets[dataset].file is None


def prepare_settings(wildcards):
    dataset = PROJECT.datasets[wildcards.dataset]
    wanted = dataset.model_dump(mode="json", include={"file", "allow_count_mismatch"})
    if dataset.file:
        wanted["file"]["path"] = local(dataset.file.path)
    if dataset.filters.active:
        wanted["filters"] = dataset.filters.model_dump(mode="json")
    return as_json({"dataset": wanted, "mirror": PROJECT.data.mirror})


def registered_source(wildcards):
    """The dataset's line in the registry (addresses, checksum, counts), as text; empty where it has none."""
    if PROJECT.datasets[wildcards.dataset].file or is_generated(wildcards.dataset):
        return ""
    return as_json(dataclasses.asdict(registry.dataset(wildcards.dataset)))


def own_file(wildcards):
    """The user's own table, where a dataset has one."""
    file = PROJECT.datasets[wildcards.dataset].file
    return [local(file.path)] if file else []


def split_settings(wildcards):
    setups = PROJECT.setups.model_dump(mode="json", by_alias=True)
    return as_json(setups[wildcards.setup])


def run_of(wildcards):
    """The planned run that a path names."""
    folder = f"{wildcards.dataset}/{wildcards.model}/{wildcards.variant}/seed{wildcards.seed}"
    if folder not in RUNS:
        raise WorkflowError(
            f"results/runs/{folder} is no run of this configuration; `snakemake metrics -n` lists those that are, "
            "and an overlay of config.yaml adds more"
        )
    return RUNS[folder]


def train_settings(wildcards):
    """The run, without the evaluation's switches where no validation fold is ranked: they retrain nothing."""
    run = run_of(wildcards)
    return as_json(run.slice() | ({} if stops_early(run) else {"evaluation": {}}))


def evaluate_settings(wildcards):
    return as_json(run_of(wildcards).slice())


def split_of(wildcards):
    run = run_of(wildcards)
    return f"results/splits/{run.dataset}/{run.setup}/split.safetensors"


def statistics_of(wildcards):
    run = run_of(wildcards)
    return f"results/splits/{run.dataset}/{run.setup}/split.json"


def study_of(wildcards):
    return study_slice(PROJECT, wildcards.dataset, wildcards.model)


def study_settings(wildcards):
    return as_json(study_of(wildcards))


# --- what is there, but is not what the plan asks for --------------------------------------------------------------
# Snakemake knows how a file was made only if it made the file itself. What a person made with the command line, brought
# from elsewhere, or made under another configuration is compared by its content: input functions of the rules below
# give no input, and have what does not match made again.

PREPARATIONS = Preparations(Path("results/data"), Path("results/splits"))


def made_again(outputs, differs):
    """Has Snakemake make outputs again, as --forcerun does, but only where they are needed.

    Args:
        outputs: of one job.
        differs: what is wrong with what is there, as a list of phrases; a function of what is read from the first
            output, a JSON file.
    """
    if not workflow.is_main_process or not os.path.exists(outputs[0]):
        return []
    try:
        found = differs(read_json(outputs[0]))
    except CreaterecError as error:
        found = [str(error)]
    if found:
        logger.info(f"{outputs[0]}: not what the plan asks for: {summary(found)}; it is made again")
        workflow.dag.forcefiles.update(outputs)
    return []


def other_preparation(wildcards):
    folder, settings = f"results/data/{wildcards.dataset}", PROJECT.datasets[wildcards.dataset]
    files = [f"{folder}/dataset.json", f"{folder}/interactions.parquet"]
    return made_again(files, lambda facts: not_prepared_so(wildcards.dataset, settings, facts))


def other_split(wildcards):
    folder = f"results/splits/{wildcards.dataset}/{wildcards.setup}"
    summary = f"results/data/{wildcards.dataset}/dataset.json"
    if not os.path.exists(summary):  # it is made, and the split with it
        return []
    setup = dict(PROJECT.setups)[wildcards.setup.replace("-", "_")]
    files = [f"{folder}/split.json", f"{folder}/split.safetensors"]
    return made_again(files, lambda facts: not_split_so(setup, read_json(summary), facts))


def other_training(wildcards):
    run = run_of(wildcards)
    hashes = PREPARATIONS.hashes(run.dataset, run.setup)
    files = run_files([run.folder], "training.json") + run_files([run.folder], "model.safetensors")
    return made_again(files, lambda training: training_differences(run, training, hashes, validates=stops_early(run)))


def other_record(wildcards):
    run = run_of(wildcards)
    hashes = PREPARATIONS.hashes(run.dataset, run.setup)
    files = run_files([run.folder], "record.json") + run_files([run.folder], "ranks.parquet")
    return made_again(files, lambda record: differences(run, record, hashes))


# --- what tables and figures are made of ---------------------------------------------------------------------------


TABLES, FIGURES, PAGES = ([exhibit.name for exhibit in of_kind(kind)] for kind in ("table", "figure", "page"))


def datasets_of(exhibit):
    part = wanted(PROJECT, exhibit)
    return getattr(part, "datasets", part)


def shown_in(group):
    return [[cell.run.folder, dict(cell.labels)] for cell in PLAN[group]]


def shown_by(exhibit):
    """What one table or figure shows, so that a changed list or axis renders it anew."""
    if not exhibit.group:
        return as_json(datasets_of(exhibit))
    return as_json([exhibit.sweep.axis if exhibit.sweep else None, shown_in(exhibit.group)])


def run_files(folders, name):
    return [f"results/runs/{folder}/{name}" for folder in folders]


def records_of(exhibit):
    """The records that one table or figure shows; none, where it shows the data."""
    folders = dict.fromkeys(cell.run.folder for cell in PLAN.get(exhibit.group, []))
    return run_files(folders, "record.json")


def ranks_of(exhibit):
    """The ranks of each user beside those records."""
    return [f"{os.path.dirname(record)}/ranks.parquet" for record in records_of(exhibit)]


def tests_beside(exhibit):
    """The tests that Table 2 brings along, where it has something to compare CREATE with."""
    models = set(PROJECT.table2.models)
    compares = exhibit.name == "table2" and "create" in models and len(models) > 1
    return ["results/tables/significance.csv"] if compares else []


def levels_beside(exhibit):
    """The records of Table 2 whose levels a figure shows beside its own points."""
    datasets = datasets_of(exhibit)
    cells = [cell for cell in PLAN["table2"] if cell.run.dataset in datasets and cell.run.model in exhibit.levels]
    return run_files(dict.fromkeys(cell.run.folder for cell in cells), "record.json")


def summaries_of(datasets):
    return [f"results/data/{dataset}/dataset.json" for dataset in datasets]


def statistics_behind(exhibit):
    """What the split left of the data, where a table shows the data and no runs."""
    if exhibit.group:
        return []
    return [f"results/splits/{dataset}/temporal/split.json" for dataset in datasets_of(exhibit)]


def of_studies(pattern):
    """One file for each study that `tuning` in the configuration names."""
    tuning = PROJECT.tuning
    return [pattern.format(dataset=dataset, model=model) for dataset in tuning.datasets for model in tuning.models]


def published_folder(wildcards):
    return at_root("results/published")


def gpu_measurements(wildcards):
    """What `benchmarks/gpu.py` measured, which is there once somebody had a GPU."""
    return at_root("benchmarks/results/gpu.json")


def published(pattern):
    """Committed files of real runs; no rule makes them."""
    return sorted(str(path) for path in Path(at_root("results/published")).glob(pattern))


# --- resources -----------------------------------------------------------------------------------------------------


def gpu_of(wildcards):
    """Models that are fitted by gradient descent want a GPU; the others have no use for one."""
    return 1 if "training" in run_of(wildcards).settings else 0


def gpu_mb_of(wildcards, attempt):
    """Memory of a card: the largest of the paper's trainings holds its logits and their gradients in 8 GB."""
    return 8000 * attempt * gpu_of(wildcards)


def growing(megabytes):
    """A `mem_mb` function: a job that was killed for its memory gets as much again on each retry."""

    def mem_mb(wildcards, attempt):
        return megabytes * attempt

    return mem_mb
