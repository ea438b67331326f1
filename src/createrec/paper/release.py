"""Weights to hand on: the best model of Table 2 on each dataset, with a card that says what it is and what it is not.

A card is a README.md in the form of the public model hubs: a YAML block that machines read, and text.
"""

import shutil
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from createrec.config import ProjectConfig
from createrec.data import registry
from createrec.errors import DataError
from createrec.files import atomic_path
from createrec.paper.names import DECIDING, dataset_name, metric_name, model_name
from createrec.paper.records import Results
from createrec.plan import Run
from createrec.written import RecordFile, read_written

"""Decides who won: the metric of Section 4.3 that the paper compares by."""
MOST_BYTES = 20 * 10**6
"""All released weights together."""
PAPER = "https://arxiv.org/abs/2602.23471"
CARD = """{front}
# {model} on {dataset}

Weights of one run of an independent reproduction of CREATE ([arXiv 2602.23471]({paper})): seed {seed} of the model that
is best on {dataset} by {metric} in Table 2, as far as it has been run ({seeds} of {planned} seeds).
{label}
| metric | this seed, % | mean of the seeds, % |
| --- | ---: | ---: |
{rows}

Full-catalogue ranking of one target per user after a global split in time; seen items {seen} the ranking.

## Use

With `createrec` installed and the dataset prepared (`createrec stats {name}` does it), put `model.safetensors` and
`training.json` into `results/runs/{folder}/`:

```
createrec recommend results/runs/{folder} --history ITEM,ITEM -k 10
```

The {parameters:,} parameters belong to the items of that dataset, in the order in which they appear in it: to no other.

## How it was made

Settings: `training.json` (`run.settings`). Trained on {device} in {seconds:.0f} s, code {code}. The same run again:

```
snakemake results/runs/{folder}/record.json -c2
```

## What it is not

Not the authors' weights. The data are of {licence}; what they hold of people's behaviour and its bias is in the model.
"""


def winners(results: Results) -> Iterator[tuple[str, str, list[Run]]]:
    """Each dataset of Table 2 with the best model that has records there, and the runs that have one.

    Yields:
        Dataset, model, and the model's runs of the table with a record, in the order of the seeds.
    """
    config: ProjectConfig = results.config
    for dataset in config.table2.datasets:
        made = {
            model: [cell.run for cell in results.cells("table2", dataset, model) if results.record(cell.run)]
            for model in config.table2.models
        }
        means = {model: _mean(results, runs, DECIDING) for model, runs in made.items() if runs}
        if means:
            best = max(means, key=lambda model: means[model])
            yield dataset, best, made[best]


def _mean(results: Results, runs: list[Run], metric: str) -> float:
    records = [results.record(run) for run in runs]
    return statistics.fmean(record["metrics"][metric] for record in records if record is not None)


def release(results: Results, trained: Path, output: Path) -> Iterator[str]:
    """Copies the weights of every winner's first seed to `output`/DATASET, with its history and a card.

    Args:
        results: the published records.
        trained: folder whose `runs/` holds the trained models.
        output: made if it is missing.

    Yields:
        One line on each dataset: what was written, or the command that makes the missing run.

    Raises:
        DataError: the trained model is not the one that the record measured, or the weights exceed MOST_BYTES.
    """
    written = 0
    for dataset, model, runs in winners(results):
        run = runs[0]
        folder = trained / "runs" / run.folder
        weights, history = folder / "model.safetensors", folder / "training.json"
        if not (weights.exists() and history.exists()):
            command = f"snakemake results/runs/{run.folder}/record.json -c2"
            yield f"{dataset}: {model} won; its weights are not here: {command}"
            continue
        record = results.record(run)
        assert record is not None  # winners names runs with a record only
        if (mine := read_written(folder / "record.json", RecordFile)["metrics"]) != record["metrics"]:
            raise DataError(
                f"{folder}: measured {DECIDING} {mine[DECIDING]}, the published record has "
                f"{record['metrics'][DECIDING]}; release the run that was published, or publish this one"
            )
        written += weights.stat().st_size
        if written > MOST_BYTES:
            raise DataError(f"{weights}: with it the weights are {written:,} bytes; expected {MOST_BYTES:,} at most")
        target = output / dataset
        target.mkdir(parents=True, exist_ok=True)
        for file in (weights, history):
            with atomic_path(target / file.name) as temporary:
                shutil.copyfile(file, temporary)
        with atomic_path(target / "README.md") as temporary:
            temporary.write_text(card(results, run, runs, record), encoding="utf-8")
        yield f"{dataset}: {model}, {weights.stat().st_size:,} bytes, {target}"


def card(results: Results, run: Run, runs: list[Run], record: Mapping[str, Any]) -> str:
    """The model card of one released run; `runs` are those of its row in Table 2."""
    dataset, model = dataset_name(run.dataset), model_name(run.model)
    means = {metric: _mean(results, runs, metric) for metric in record["metrics"]}
    front = {
        "license": "apache-2.0",
        "library_name": "createrec",
        "tags": ["recommender-system", "sequential-recommendation", "reproduction"],
        "model-index": [
            {
                "name": f"{model} on {dataset}",
                "results": [
                    {
                        "task": {"type": "sequential-recommendation"},
                        "dataset": {"name": dataset, "type": run.dataset},
                        "metrics": [
                            {"name": metric_name(metric), "type": metric, "value": value}
                            for metric, value in record["metrics"].items()
                        ],
                    }
                ],
            }
        ],
    }
    known = registry.datasets().get(run.dataset)
    return CARD.format(
        front=f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n",
        model=model,
        dataset=dataset,
        name=run.dataset,
        paper=PAPER,
        seed=run.seed,
        metric=metric_name(DECIDING),
        seeds=len(runs),
        planned=len(results.cells("table2", run.dataset, run.model)),
        label=f"\nThe data are special: {record['label']}.\n" if record["label"] else "",
        rows="\n".join(
            f"| {metric_name(metric)} | {100 * value:.2f} | {100 * means[metric]:.2f} |"
            for metric, value in record["metrics"].items()
        ),
        seen="leave" if record["evaluation"].get("remove_seen", True) else "stay in",
        folder=run.folder,
        parameters=record["parameters"],
        device=record["device"],
        seconds=record["seconds"]["train"],
        code=record["code_version"],
        licence=f"these terms: {known.licence}" if known else "your own file",
    )
