"""What a search of a given length is expected to find: validation NDCG@10 against the number of trials.

Reference: Dodge et al., "Show Your Work: Improved Reporting of Experimental Results", EMNLP 2019. With the values
v_1 <= ... <= v_N of a study's N trials, the best of n trials drawn from them with replacement is expected to be

    sum_i v_i ((i / N)^n - ((i - 1) / N)^n)

A model is ahead of another under an equal budget where its curve lies above the other's at the same n. Trials that were
stopped early count with the best value they reached; failed ones do not count.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from createrec.errors import DataError
from createrec.paper.names import dataset_name, model_name
from createrec.paper.render import write_csv
from createrec.paper.style import COLOURS, DASHES, MARKERS, PAGE_WIDTH, house_style, notes, save, title

MODELS = ("sasrec", "create")
TRIALS, CHOICE = "trials.csv", "choice.csv"
COUNTED = ("complete", "pruned")


def expected_best(values: Sequence[float]) -> list[float]:
    """Expected best of n = 1 ... N trials drawn with replacement from the values of N trials."""
    ordered, count = sorted(values), len(values)
    return [
        sum(v * ((i / count) ** n - ((i - 1) / count) ** n) for i, v in enumerate(ordered, 1))
        for n in range(1, count + 1)
    ]


def read_values(path: Path) -> list[float]:
    """Validation NDCG@10 of each trial that counts.

    Raises:
        DataError: a column is missing, or a value is no number.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if not {"state", "value"} <= set(rows.fieldnames or ()):
            raise DataError(f"{path}: expected the columns state and value, as `createrec tune` writes them")
        try:
            return [float(row["value"]) for row in rows if row["state"] in COUNTED and row["value"]]
        except ValueError as error:
            raise DataError(f"{path}: {error}; expected a number in the column value") from None


def studies(folder: Path) -> dict[str, dict[str, list[float]]]:
    """Dataset -> model -> values, of the studies in FOLDER/DATASET/MODEL that are compared."""
    found: dict[str, dict[str, list[float]]] = {}
    for path in sorted(folder.glob(f"*/*/{TRIALS}")):
        dataset, model = path.parts[-3:-1]
        if model in MODELS and (values := read_values(path)):
            found.setdefault(dataset, {})[model] = values
    return found


def write_searches(folder: Path, stem: Path) -> None:
    """`<stem>.pdf`, `.png` and `.csv` (dataset, model, trials, expected) of all studies in a folder.

    Raises:
        DataError: there is no study, or a table of trials is damaged.
    """
    found = studies(folder)
    if not found:
        raise DataError(f"{folder}: no DATASET/MODEL/{TRIALS} of {' or '.join(MODELS)}; run `createrec tune` first")
    curves = {
        (dataset, model): expected_best(values) for dataset, models in found.items() for model, values in models.items()
    }
    rows = [
        [dataset, model, n, f"{value:.6f}"]
        for (dataset, model), curve in curves.items()
        for n, value in enumerate(curve, 1)
    ]
    write_csv(Path(f"{stem}.csv"), ["dataset", "model", "trials", "expected"], rows)
    with house_style():
        save(_draw(found, curves), stem)


def _draw(found: Mapping[str, Mapping[str, list[float]]], curves: Mapping[tuple[str, str], list[float]]) -> Figure:
    figure = Figure(figsize=(PAGE_WIDTH, 2.5))
    for place, axes in enumerate(figure.subplots(1, len(found), squeeze=False)[0]):
        dataset = list(found)[place]
        for index, model in enumerate(MODELS):
            if model in found[dataset]:
                curve = [100 * value for value in curves[dataset, model]]
                style = {"color": COLOURS[index], "marker": MARKERS[index], "linestyle": DASHES[index]}
                axes.plot(range(1, len(curve) + 1), curve, label=model_name(model), **style)
        title(axes, dataset_name(dataset), [])
        axes.set_xlabel("trials")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.axes[0].set_ylabel("validation NDCG@10, %")
    figure.axes[0].legend(loc="lower right")
    about = (
        "The best NDCG@10 on validation that so many trials are expected to find. Curves end where a study has no more "
    )
    notes(figure, [about + "trials. A trial of CREATE costs more time than one of SASRec."], PAGE_WIDTH)
    return figure
