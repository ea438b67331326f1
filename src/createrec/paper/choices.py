"""How far the choice of settings moves a model: its settings that one validation fold cannot tell apart, on the test.

A search takes the best of its settings by validation NDCG@10, which has a standard error of 7 to 10 % of its value. Had
the fold held other users, another of the good settings might have been taken. So these are tested too: a gain that is
no larger than what the choice moves could be the luck of choosing.
"""

import math
import statistics
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from createrec.exhibits import LEVELS, Exhibit
from createrec.paper.names import DECIDING, dataset_name, metric_name, model_name
from createrec.paper.records import Estimate, Results
from createrec.paper.tables import (
    TABLE2_METRICS,
    Entry,
    Table,
    common_notes,
    decimals,
    percent,
    seeds_note,
    signed_percent,
)
from createrec.plan import CHOSEN, Cell

GROUP = "choices"


def _places(results: Results, dataset: str, model: str) -> dict[str, list[Cell]]:
    """Settings -> the cells of their seeds, the chosen ones first."""
    places: dict[str, list[Cell]] = {}
    for cell in results.cells(GROUP, dataset, model):
        places.setdefault(cell.labels["settings"], []).append(cell)
    return places


def by_settings(results: Results, dataset: str, model: str, metric: str = DECIDING) -> dict[str, Estimate]:
    """Settings -> estimate over seeds, the chosen ones first; those that were not run have no values."""
    places = _places(results, dataset, model)
    return {settings: results.estimate(cells, metric, dataset) for settings, cells in places.items()}


def means(results: Results, dataset: str, model: str, metric: str = DECIDING) -> dict[str, float]:
    """Settings -> mean over seeds, of those that were run, the chosen ones first."""
    found = by_settings(results, dataset, model, metric)
    return {settings: estimate.mean for settings, estimate in found.items() if estimate.run}


def relative_spread(found: Collection[float]) -> float | None:
    """Sample standard deviation of the settings' means, as a share of their mean; None of fewer than two."""
    if len(found) < 2 or not statistics.fmean(found):
        return None
    return statistics.stdev(found) / statistics.fmean(found)


def choice_spread(results: Results, dataset: str, models: Sequence[str], metric: str = DECIDING) -> float | None:
    """How far the choices of two models move the ratio of their means: the relative spreads of both, squared and added.

    None where the settings of neither were tested beside others.
    """
    spreads = [relative_spread(means(results, dataset, model, metric).values()) for model in models]
    known = [spread for spread in spreads if spread is not None]
    return math.hypot(*known) if known else None


@dataclass(frozen=True)
class Turned:
    """The one of SASRec and CREATE that is behind as chosen, ahead of the other under settings of its own.

    Attributes:
        mean: its mean under `settings`.
        rival_mean: that of the other, as chosen.
    """

    model: str
    settings: str
    mean: float
    rival: str
    rival_mean: float


def turned(results: Results, dataset: str, metric: str = DECIDING) -> Turned | None:
    """Whether other luck in the choice would turn the order of SASRec and CREATE; None = no, or not tested."""
    found = {model: means(results, dataset, model, metric) for model in LEVELS}
    if any(CHOSEN not in own for own in found.values()):
        return None
    behind, ahead = sorted(LEVELS, key=lambda model: found[model][CHOSEN])
    best = max(found[behind], key=lambda settings: found[behind][settings])
    mean, rival_mean = found[behind][best], found[ahead][CHOSEN]
    return Turned(behind, best, mean, ahead, rival_mean) if mean > rival_mean else None


def sasrec_ahead(results: Results, dataset: str, metric: str = DECIDING) -> float | None:
    """SASRec's mean under other good settings, where that turns CREATE's gain into a loss."""
    other = turned(results, dataset, metric)
    return other.mean if other is not None and other.model == "sasrec" else None


def _shown(mean: float, std: float) -> str:
    return f"{percent(mean)} ± {100 * std:.{decimals(mean)}f}"


def _over_settings(results: Results, dataset: str, model: str) -> Iterator[str]:
    """A sentence on a model whose settings were compared."""
    found = means(results, dataset, model)
    if len(found) > 1 and CHOSEN in found:
        over_settings = _shown(statistics.fmean(found.values()), statistics.stdev(found.values()))
        who = f"{dataset_name(dataset)}: {model_name(model)}"
        told = f"{who} has an NDCG@10 of {over_settings} over its {len(found)} settings"
        chosen = by_settings(results, dataset, model)[CHOSEN]
        if chosen.std is not None:
            told += f"; the chosen ones have {_shown(chosen.mean, chosen.std)} over seeds"
        yield f"{told}."


def _of_the_gain(results: Results, dataset: str) -> Iterator[str]:
    """What that says of CREATE's gain over SASRec."""
    name, spread = dataset_name(dataset), choice_spread(results, dataset, LEVELS)
    sasrec, create = (means(results, dataset, model) for model in LEVELS)
    if spread is None or CHOSEN not in sasrec or CHOSEN not in create:
        return
    ratio = statistics.fmean(create.values()) / statistics.fmean(sasrec.values()) - 1
    yield (
        f"{name}: of the means over settings CREATE's is {signed_percent(ratio)} against SASRec's; the choice of "
        f"settings moves that by ± {100 * spread:.0f} %."
    )
    if (other := turned(results, dataset)) is not None:
        yield (
            f"{name}: with other luck the order would be the other way round: {model_name(other.model)} with "
            f"{other.settings} has {percent(other.mean)}, {model_name(other.rival)} as chosen "
            f"{percent(other.rival_mean)}."
        )
    for settings, mean in sasrec.items():
        if (built := create.get(f"encoder-{settings}")) is not None:
            yield (
                f"{name}: SASRec with {settings} has {percent(mean)}, and CREATE built on the same settings "
                f"{percent(built)}."
            )


def what_the_choice_moves(results: Results) -> list[str]:
    """In sentences: each model over its settings, CREATE's gain over SASRec, and where other luck would turn it."""
    models: dict[str, dict[str, None]] = {}
    for cell in results.plan[GROUP]:
        models.setdefault(cell.run.dataset, {})[cell.run.model] = None
    sentences: list[str] = []
    for dataset, own in models.items():
        for model in own:
            sentences += _over_settings(results, dataset, model)
        sentences += _of_the_gain(results, dataset)
    return sentences


def choices(results: Results, exhibit: Exhibit) -> Table:
    """A row per dataset, model and settings; a column per metric."""
    cells = results.plan[exhibit.group]
    models = dict.fromkeys((cell.run.dataset, cell.run.model) for cell in cells)
    entries = [
        Entry(
            (dataset_name(dataset), model_name(model), settings),
            metric_name(metric),
            results.estimate(own, metric, dataset),
            {"dataset": dataset, "model": model, "settings": settings, "metric": metric},
        )
        for dataset, model in models
        for settings, own in _places(results, dataset, model).items()
        for metric in TABLE2_METRICS
    ]
    estimates = [entry.estimate for entry in entries]
    notes = (
        seeds_note(estimates),
        "Trials are those of the search on validation, results/published/tuning/DATASET/MODEL/trials.csv; their "
        "settings lie in hparams/DATASET/MODEL.next.yaml. A model whose search found no other setting within 10 % of "
        "the best has one row. `encoder-trial-1`: CREATE as it would have been built, had that trial of SASRec been "
        "chosen. `former-0`, `third-trial-0`: trial 0 of an earlier study; what was published before is among them.",
        *what_the_choice_moves(results),
        *common_notes(results, cells, estimates),
    )
    return Table(exhibit, notes, ("Dataset", "Model", "Settings"), tuple(entries), {})
