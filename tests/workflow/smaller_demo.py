"""The demo made smaller: every table and figure from four short runs on made data."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import yaml

TARGETS = ("table1", "table2", "figure2", "comparison", "metrics")
SHORT = {"epochs": 1, "batch_size": 256}
SMALLER = {
    "datasets": {"demo": {"max_length": 10}},
    "hparams": None,
    "models": {
        "sasrec": {"dimension": 8, "blocks": 1, "heads": 1, "training": SHORT},
        "ultragcn": {"dimension": 8, "negatives": 20},
        "create": {"warmup_epochs": 1},
    },
    "table1": ["demo"],
    "table2": {"datasets": ["demo"], "models": ["random", "sasrec", "create"], "seeds": [0]},
    "table3": {"datasets": ["demo"], "models": ["sasrec"], "seeds": []},
    "figure2": {"datasets": ["demo"], "seeds": [0]},
    "ablations": {
        "graph_size": {"datasets": ["demo"], "values": [50], "seeds": []},
        "warmup": {"datasets": ["demo"], "values": [1], "seeds": [0]},
        "barlow_weight": {"datasets": ["demo"], "values": [0.2], "seeds": [0]},
        "alignment": {"datasets": ["demo"], "graphs": ["ultragcn"], "alignments": ["barlow"], "seeds": [0]},
        "backbone": {"datasets": ["demo"], "sequences": ["sasrec"], "graphs": ["ultragcn"], "seeds": [0]},
    },
    "sensitivity": {
        "datasets": [],
        "models": [],
        "trainings": {"positions=oldest": {"datasets": []}, "fold_in=true": {"datasets": []}},
        "seeds": [],
    },
    "choices": {"datasets": []},
    "beyond": {"datasets": [], "leave_one_out": []},
    "validation": {"datasets": []},
}
RUNS = {
    "demo/random/table2/seed0",
    "demo/sasrec/table2/seed0",
    "demo/create/table2/seed0",  # also what every ablation above asks for
    "demo/create/figure2/seed0",
}


class Demo:
    """A working folder in which TARGETS were built, and what Snakemake said."""

    def __init__(self, folder: Path, copy_project, snakemake) -> None:
        self.folder, self.project, self.snakemake = folder / "work", folder, snakemake
        copy_project(folder)
        self.folder.mkdir()
        self.overlay = folder / "smaller.yaml"
        self.overlay.write_text(yaml.safe_dump(SMALLER))
        self.result = self.run("--set-threads", "train=1", "evaluate=1")

    def run(self, *arguments: str, targets: Sequence[str | Path] = TARGETS) -> subprocess.CompletedProcess[str]:
        options = ("--configfile", self.overlay)
        return self.snakemake(*targets, *arguments, *options, directory=self.folder, project=self.project)
