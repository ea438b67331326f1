"""Beyond the paper: the simple baselines that a critical reader asks for, beside the paper's models."""

from createrec.exhibits import Exhibit, wanted
from createrec.paper.names import DECIDING, dataset_name, metric_name, model_name
from createrec.paper.records import Results
from createrec.paper.tables import BY_DESIGN, TABLE2_METRICS, Entry, Table, common_notes, percent, seeds_note
from createrec.plan import Cell

SETUP_NAMES = {"temporal": "by time", "leave-one-out": "leave-one-out"}
Place = tuple[str, str, str]


def _cells(results: Results, exhibit: Exhibit) -> dict[Place, list[Cell]]:
    """(dataset, setup, model) -> the cells of its seeds, in the order of the plan."""
    found: dict[Place, list[Cell]] = {}
    for cell in results.plan[exhibit.group]:
        found.setdefault((cell.run.dataset, cell.run.setup, cell.run.model), []).append(cell)
    return found


def beaten(results: Results, exhibit: Exhibit) -> list[str]:
    """A sentence for each simple baseline whose NDCG@10 is above that of models of the paper."""
    simple = wanted(results.config, exhibit).models
    means: dict[Place, float] = {}
    for place, cells in _cells(results, exhibit).items():
        estimate = results.estimate(cells, DECIDING, place[0])
        if estimate.run and place[2] not in BY_DESIGN:
            means[place] = estimate.mean
    sentences = []
    for (dataset, setup, model), mean in means.items():
        if model in simple:
            below = [
                f"{model_name(name)} ({percent(value)})"
                for (own_dataset, own_setup, name), value in means.items()
                if (own_dataset, own_setup) == (dataset, setup) and name not in simple and value < mean
            ]
            if below:
                where = f"{dataset_name(dataset)}, {SETUP_NAMES[setup]}"
                sentences.append(f"{where}: {model_name(model)} ({percent(mean)} of NDCG@10) beats {', '.join(below)}.")
    return sentences


def beyond(results: Results, exhibit: Exhibit) -> Table:
    """A row per dataset, setup and model; a column per metric."""
    entries = []
    for (dataset, setup, model), cells in _cells(results, exhibit).items():
        place = (dataset_name(dataset), SETUP_NAMES[setup])
        for metric in TABLE2_METRICS:
            entries.append(
                Entry(
                    (*place, model_name(model)),
                    metric_name(metric),
                    results.estimate(cells, metric, dataset),
                    {"dataset": dataset, "setup": setup, "model": model, "metric": metric},
                    None if model in BY_DESIGN else (*place, metric),
                )
            )
    estimates = [entry.estimate for entry in entries]
    notes = (
        seeds_note(estimates),
        "Best in bold, second best underlined. Markov, item-kNN and EASE read the history at query time, BPR-MF the "
        "user's vector of the training graph. Settings are those of hparams/, tuned on validation, or the defaults "
        "where a model has no file there.",
        *beaten(results, exhibit),
        *common_notes(results, results.plan[exhibit.group], estimates),
    )
    index = ("Dataset", "Split", "Model")
    return Table(exhibit, notes, index, tuple(entries), {})
