"""How far the choice of settings moves a model: its settings that one validation fold cannot tell apart, on the test.

A search takes the best of its settings by validation NDCG@10, which has a standard error of 7 to 10 % of its value. Had
the fold held other users, another of the good settings might have been taken. So these are tested too: a gain that is
no larger than what the choice moves could be the luck of choosing.
"""

import math
import statistics
from collections.abc import Mapping, Sequence

from createrec.exhibits import LEVELS, Exhibit
from createrec.paper.names import dataset_name, metric_name, model_name
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

DECIDING = "ndcg@10"
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


def relative_spread(estimates: Mapping[str, Estimate]) -> float | None:
    """Sample standard deviation over settings, as a share of their mean; None where fewer than two were run."""
    found = [estimate.mean for estimate in estimates.values() if estimate.run]
    if len(found) < 2 or not statistics.fmean(found):
        return None
    return statistics.stdev(found) / statistics.fmean(found)


def choice_spread(results: Results, dataset: str, models: Sequence[str], metric: str = DECIDING) -> float | None:
    """How far the choices of two models move the ratio of their means: the relative spreads of both, squared and added.

    None where the settings of neither were tested beside others.
    """
    spreads = [relative_spread(by_settings(results, dataset, model, metric)) for model in models]
    known = [spread for spread in spreads if spread is not None]
    return math.hypot(*known) if known else None


def _shown(mean: float, std: float) -> str:
    return f"{percent(mean)} ± {100 * std:.{decimals(mean)}f}"


def _told(results: Results, dataset: str, models: Sequence[str]) -> list[str]:
    """A sentence on each model whose settings were compared, and one on what that says of CREATE's gain."""
    name = dataset_name(dataset)
    found = {
        model: {
            settings: estimate for settings, estimate in by_settings(results, dataset, model).items() if estimate.run
        }
        for model in models
    }
    sentences = []
    for model, estimates in found.items():
        means = [estimate.mean for estimate in estimates.values()]
        if len(means) > 1 and CHOSEN in estimates:
            over_settings = _shown(statistics.fmean(means), statistics.stdev(means))
            told = f"{name}: {model_name(model)} has an NDCG@10 of {over_settings} over its {len(means)} settings"
            chosen = estimates[CHOSEN]
            if chosen.std is not None:
                told += f"; the chosen ones have {_shown(chosen.mean, chosen.std)} over seeds"
            sentences.append(f"{told}.")
    spread = choice_spread(results, dataset, LEVELS)
    if all(CHOSEN in found.get(model, {}) for model in LEVELS) and spread is not None:
        sasrec, create = ({settings: one.mean for settings, one in found[model].items()} for model in LEVELS)
        ratio = statistics.fmean(create.values()) / statistics.fmean(sasrec.values()) - 1
        sentences.append(
            f"{name}: of the means over settings CREATE's is {signed_percent(ratio)} against SASRec's; the choice of "
            f"settings moves that by ± {100 * spread:.0f} %."
        )
        if (other := turned(results, dataset)) is not None:
            model, settings, mean = other
            rival, as_chosen = ("SASRec", sasrec) if model == "create" else ("CREATE", create)
            sentences.append(
                f"{name}: with other luck the order would be the other way round: {model_name(model)} with {settings} "
                f"has {percent(mean)}, {rival} as chosen {percent(as_chosen[CHOSEN])}."
            )
        sentences += [
            f"{name}: SASRec with {settings} has {percent(mean)}, and CREATE built on the same settings "
            f"{percent(create[f'encoder-{settings}'])}."
            for settings, mean in sasrec.items()
            if f"encoder-{settings}" in create
        ]
    return sentences


def turned(results: Results, dataset: str, metric: str = DECIDING) -> tuple[str, str, float] | None:
    """Model, settings and mean where the one of SASRec and CREATE that is behind would be ahead with other settings.

    None where it would not, or where that was not tested.
    """
    means = {
        model: {settings: one.mean for settings, one in by_settings(results, dataset, model, metric).items() if one.run}
        for model in LEVELS
    }
    if any(CHOSEN not in own for own in means.values()):
        return None
    behind, ahead = sorted(LEVELS, key=lambda model: means[model][CHOSEN])
    best = max(means[behind], key=lambda settings: means[behind][settings])
    return (behind, best, means[behind][best]) if means[behind][best] > means[ahead][CHOSEN] else None


def what_the_choice_moves(results: Results) -> list[str]:
    """In sentences: each model over its settings, CREATE's gain over SASRec, and where other luck would turn it."""
    models: dict[str, dict[str, None]] = {}
    for cell in results.plan[GROUP]:
        models.setdefault(cell.run.dataset, {})[cell.run.model] = None
    return [sentence for dataset, own in models.items() for sentence in _told(results, dataset, list(own))]


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
        "chosen.",
        *what_the_choice_moves(results),
        *common_notes(results, cells, estimates),
    )
    return Table(exhibit, notes, ("Dataset", "Model", "Settings"), tuple(entries), {})
