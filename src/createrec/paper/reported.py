"""What the paper reports: Tables 1-5 as numbers, Figures 3-5 as far as its text and captions describe them."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from createrec.errors import DataError
from createrec.paper.names import PAPER_MODELS

NOT_STATED = "(not stated)"  # Table 5 names no dataset
# Table 3 is measured in the setup of another paper; its datasets are ours, split leave-one-out.
_LOOM_DATASETS = {"loom-office": "amazon-office", "loom-beauty": "amazon-beauty"}
_MODEL_IDS = {name: model for model, name in PAPER_MODELS.items()}
_VARIANT = re.compile(r"CREATE\((\w+),(\w+)\)")


@dataclass(frozen=True)
class Reported:
    """One number of Tables 1-5.

    Attributes:
        dataset: our name of the dataset, or NOT_STATED.
        model: our name of the model; empty in Table 1.
        labels: coordinates inside an ablation, as `plan` names them.
        metric: as records name it (`ndcg@10`; the paper's HR is recall, one target per user), or a count of Table 1.
        name: the model as the paper prints it.
        value, std: in %, or a count in Table 1; `std` is the paper's deviation over seeds where it gives one.
    """

    table: str
    dataset: str
    model: str
    labels: Mapping[str, str]
    metric: str
    name: str
    value: float
    std: float | None


def _rows(file: str) -> Iterator[tuple[int, dict[str, str]]]:
    with Path(__file__).with_name(file).open(encoding="utf-8", newline="") as opened:
        yield from enumerate(csv.DictReader(opened), start=2)


def _model(table: str, name: str) -> tuple[str, Mapping[str, str]]:
    """The paper's name of a method as our model and its coordinates in the ablation."""
    if variant := _VARIANT.fullmatch(name):
        first, second = variant.groups()
        if table == "table4":
            return "create", {"graph": _MODEL_IDS[first], "alignment": second}
        return "create", {"sequence": _MODEL_IDS[first], "graph": _MODEL_IDS[second]}
    labels = {"graph": "-", "alignment": "sequential"} if table == "table4" else {}
    return (_MODEL_IDS[name] if name else ""), labels


@cache
def reported_values() -> tuple[Reported, ...]:
    """Every number of Tables 1-5, in the order of the file.

    Raises:
        DataError: a row of the package's own file is not understood.
    """
    found = []
    for line, row in _rows("reported_values.csv"):
        try:
            model, labels = _model(row["table"], row["model"])
            found.append(
                Reported(
                    table=row["table"],
                    dataset=_LOOM_DATASETS.get(row["dataset"], row["dataset"]),
                    model=model,
                    labels=MappingProxyType(dict(labels)),
                    metric=row["metric"].lower().replace("hr@", "recall@"),
                    name=row["model"],
                    value=float(row["value"]),
                    std=float(row["std"]) if row["std"] else None,
                )
            )
        except (KeyError, ValueError) as error:
            raise DataError(
                f"reported_values.csv, line {line}: not understood ({error}); reinstall createrec"
            ) from None
    return tuple(found)


def printed(value: float) -> str:
    """A number of the paper as it prints it: two decimals, or as many as a tiny one needs."""
    return f"{value:.2f}" if round(value, 2) == value else f"{value:g}"


def reported_value(table: str, dataset: str, model: str, metric: str, labels: Mapping[str, str] | None = None) -> float:
    """One number of Tables 1-5, in %.

    Raises:
        DataError: the paper gives no such number.
    """
    for row in reported_values():
        if (row.table, row.dataset, row.model, row.metric) == (table, dataset, model, metric) and (
            not labels or dict(row.labels) == dict(labels)
        ):
            return row.value
    raise DataError(f"reported_values.csv: the paper gives no {metric} of {model} on {dataset} in {table}")


@cache
def described(figure: str) -> Mapping[str, Mapping[str, float]]:
    """What is said about one figure: dataset -> quantity -> value (units in reported_figures.csv)."""
    found: dict[str, dict[str, float]] = {}
    for _, row in _rows("reported_figures.csv"):
        if row["figure"] == figure:
            found.setdefault(row["dataset"], {})[row["quantity"]] = float(row["value"])
    return found
