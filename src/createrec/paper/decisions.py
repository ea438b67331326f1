"""The numbers that docs/protocol.md decides by.

SASRec's row under both orders of positions, the Random row, and the rows of the models that do not know the order.
"""

import math
import statistics
from pathlib import Path

from createrec.paper.names import dataset_name, metric_name
from createrec.paper.records import Results
from createrec.paper.render import Sheet, Shown, to_markdown
from createrec.paper.reported import reported_value
from createrec.paper.sensitivity import readings
from createrec.paper.tables import signed_percent
from createrec.written import STATISTICS_FILE, RecordFile, read_description, read_written

POSITIONS = ("newest", "oldest")
METRICS = ("ndcg@10", "recall@100", "coverage@10")
CUTOFF = 10
STATIC = ("svd", "lightgcn", "ultragcn")  # they do not know the order of a user's items
ACCURACY = {10: ("ndcg@10", "recall@10"), 100: ("ndcg@100", "recall@100")}


def positions_part(folder: Path) -> str:
    """SASRec with positions from the newest and from the oldest item beside the paper's row, and how far each is off.

    Args:
        folder: holds `DATASET/sasrec/decide-ORDER/seedN/record.json`.
    """
    rows, distances = [], []
    for dataset in sorted(path.name for path in folder.iterdir()):
        metrics = {
            order: [
                read_written(path, RecordFile)["metrics"]
                for path in sorted((folder / dataset / "sasrec" / f"decide-{order}").glob("seed*/record.json"))
            ]
            for order in POSITIONS
        }
        off = dict.fromkeys(POSITIONS, 0.0)
        cells = []
        for metric in METRICS:
            paper = reported_value("table2", dataset, "sasrec", metric)
            ours = {order: 100 * statistics.fmean(one[metric] for one in metrics[order]) for order in POSITIONS}
            for order in POSITIONS:
                off[order] += abs(math.log(ours[order] / paper))
            cells.append(Shown(", ".join(f"{value:.2f}" for value in (*ours.values(), paper))))
        seeds = len(metrics[POSITIONS[0]])
        cells += [Shown(", ".join(f"{off[order]:.2f}" for order in POSITIONS))]
        rows.append(((f"{dataset_name(dataset)} ({seeds} seed{'s' if seeds > 1 else ''})",), tuple(cells)))
        distances.append(off)
    sums = ", ".join(f"{sum(off[order] for off in distances):.2f} for {order}" for order in POSITIONS)
    caption = (
        f"SASRec with the same settings: {', '.join(POSITIONS)}, the paper; in %. Off: logarithms of ours over the "
        f"paper's, without sign, summed ({', '.join(POSITIONS)}). In all: {sums}."
    )
    columns = (*(metric_name(metric) for metric in METRICS), "Off")
    return to_markdown(Sheet("positions", "", caption, (), ("Dataset",), columns, tuple(rows)))


def random_row_part(results: Results) -> str:
    """How many test users the paper's Random row implies: its coverage beside that of our number of test users."""
    rows = []
    for dataset in results.config.table2.datasets:
        path = results.splits / dataset / "temporal" / STATISTICS_FILE
        if path.exists():
            facts = read_description(path)
            implied = 100 * (1 - (1 - CUTOFF / facts["items"]) ** facts["test_users"])
            paper = reported_value("table2", dataset, "random", f"coverage@{CUTOFF}")
            cells = (f"{facts['test_users']:,}", f"{implied:.2f}", f"{paper:.2f}")
            rows.append(((dataset_name(dataset),), tuple(map(Shown, cells))))
    caption = f"Coverage@{CUTOFF} of Random, in %."
    columns = ("Test users by the rule above", "The coverage that they imply", "The paper")
    return to_markdown(Sheet("random", "", caption, (), ("Dataset",), columns, tuple(rows)))


def static_models_part(results: Results) -> str:
    """How far SVD, LightGCN and UltraGCN stand from the paper's rows, under each reading that all three have."""
    means = {
        (one.dataset, one.switch, one.model, one.metric): 100 * one.estimate.mean
        for one in readings(results)
        if one.model in STATIC and one.estimate.run
    }
    datasets = [name for name in results.config.table2.datasets if any(place[0] == name for place in means)]
    switches = dict.fromkeys(switch for _, switch, *_ in means)
    rows = []
    for switch in switches:
        cells = []
        for dataset in datasets:
            off = {
                cutoff: [
                    math.log(means[dataset, switch, model, metric] / reported_value("table2", dataset, model, metric))
                    for model in STATIC
                    for metric in metrics
                    if (dataset, switch, model, metric) in means
                ]
                for cutoff, metrics in ACCURACY.items()
            }
            if any(len(found) < len(STATIC) * len(ACCURACY[cutoff]) for cutoff, found in off.items()):
                cells.append(Shown("–"))
                continue
            whole = statistics.fmean(abs(value) for found in off.values() for value in found)
            shifts = (signed_percent(math.exp(statistics.fmean(found)) - 1) for found in off.values())
            cells.append(Shown(f"{whole:.2f} ({', '.join(shifts)})"))
        if any(cell.text != "–" for cell in cells):
            rows.append(((switch,), tuple(cells)))
    caption = (
        "NDCG and Recall of SVD, LightGCN and UltraGCN beside the paper's rows: logarithms of ours over the paper's, "
        "without sign, their mean (and with sign, as %: at 10, at 100)."
    )
    return to_markdown(Sheet("static", "", caption, (), ("Reading",), tuple(map(dataset_name, datasets)), tuple(rows)))
