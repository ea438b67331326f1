"""How far the numbers of Table 2 move under the protocol's other readings (docs/protocol.md).

A record holds its metrics once more under each switch of the evaluation; the trained model is the same. What only
another training can show has records of its own, the plan's group `sensitivity`. Two readings bring most models down to
the paper's level, so they stand side by side first.
"""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from createrec.paper.names import DECIDING, dataset_name, metric_name, model_name
from createrec.paper.records import NOBODY, Estimate, Results
from createrec.paper.render import Page, Sheet, Shown, write_csv, write_page
from createrec.paper.reported import printed, reported_value, reported_values
from createrec.paper.tables import (
    BY_DESIGN,
    TABLE2_METRICS,
    exact_percent,
    gain,
    seeds_note,
    show_estimate,
    signed_percent,
)

DEFAULT = "default"
SEEN_LEFT_IN = "remove_seen=false"
LATER_READING = "target=random,history_strict=true,target_draws=10"  # how the authors' group measures later
_HEADER = ["dataset", "model", "switch", "metric", "mean_percent", "std_percent", "seeds", "seeds_planned", "label"]
_HEADER += ["draws_std_percent"]


@dataclass(frozen=True)
class Reading:
    """One metric of one model under one switch (`target=first`, `max_length=10`), or as configured (DEFAULT).

    Attributes:
        draws_std: sample standard deviation over the draws of a random target, averaged over seeds; None without any.
    """

    dataset: str
    model: str
    switch: str
    metric: str
    estimate: Estimate
    draws_std: float | None = None


def readings(results: Results) -> Iterator[Reading]:
    """Every model of Table 2 that was run, under the default and each switch that its records hold."""
    for dataset in results.config.table2.datasets:
        for model in results.config.table2.models:
            cells = results.cells("table2", dataset, model)
            records = [record for cell in cells if (record := results.record(cell.run)) is not None]
            measured = [{DEFAULT: record["metrics"], **record.get("sensitivity", {})} for record in records]
            for switch in dict.fromkeys(name for one in measured for name in one):
                for metric in TABLE2_METRICS:
                    held = [one[switch][metric] for one in measured if metric in one.get(switch, {})]
                    values = tuple(value for value in held if value is not None)
                    planned = results.estimate(cells, metric, dataset)
                    if held and not values:
                        planned = replace(planned, missing=NOBODY)
                    spreads = [
                        one[switch][name] for one in measured if (name := f"spread {metric}") in one.get(switch, {})
                    ]
                    spread = statistics.fmean(spreads) if spreads else None
                    yield Reading(dataset, model, switch, metric, replace(planned, values=values), spread)
            trained = results.cells("sensitivity", dataset)
            trained = [cell for cell in trained if cell.labels.get("shown_as", cell.run.model) == model]
            for switch in dict.fromkeys(cell.labels["switch"] for cell in trained):
                cells = [cell for cell in trained if cell.labels["switch"] == switch]
                for metric in TABLE2_METRICS:
                    estimate = results.estimate(cells, metric, dataset)
                    if estimate.run:
                        yield Reading(dataset, model, switch, metric, estimate)


def _papers_rows() -> dict[tuple[str, str], dict[str, str]]:
    """(dataset, model) -> metric -> what Table 2 of the paper prints."""
    paper: dict[tuple[str, str], dict[str, str]] = {}
    for row in reported_values():
        if row.table == "table2":
            paper.setdefault((row.dataset, row.model), {})[row.metric] = printed(row.value)
    return paper


def _shown(reading: Reading) -> Shown:
    """`1.93`, or `1.93 (draws ± 0.05)` where targets were drawn several times."""
    draws = "" if reading.draws_std is None else f" (draws ± {100 * reading.draws_std:.2f})"
    return Shown(show_estimate(reading.estimate) + draws)


def two_readings(found: list[Reading]) -> Sheet:
    """The default, seen items left in, and the group's later reading, beside the paper's rows."""
    paper, rows = _papers_rows(), []
    for dataset, model in dict.fromkeys((reading.dataset, reading.model) for reading in found):
        if (dataset, model) not in paper or model in BY_DESIGN:
            continue
        place = (dataset_name(dataset), model_name(model))
        theirs = tuple(Shown(paper[dataset, model].get(metric, "–")) for metric in TABLE2_METRICS)
        rows.append(((*place, "the paper"), theirs))
        for switch, name in (
            (DEFAULT, DEFAULT),
            (SEEN_LEFT_IN, "seen items left in"),
            (LATER_READING, "random target"),
        ):
            here = {
                one.metric: one for one in found if (one.dataset, one.model, one.switch) == (dataset, model, switch)
            }
            if here:
                cells = tuple(_shown(here[metric]) if metric in here else Shown("–") for metric in TABLE2_METRICS)
                rows.append(((*place, name), cells))
    notes = (
        "Random target: one random item after the cut, the history before its time stamp alone, the mean over ten "
        "draws; how the authors' group measures in its later public code. Seen items are removed there.",
        seeds_note([reading.estimate for reading in found]),
    )
    caption = "Two readings of the protocol that lead to the paper's level."
    columns = tuple(map(metric_name, TABLE2_METRICS))
    return Sheet("readings", "", caption, notes, ("Dataset", "Model", "Reading"), columns, tuple(rows))


def sensitivity_page(found: list[Reading]) -> Page:
    """The two readings, then a part per dataset: a row per model and switch, and the paper's row where it has one."""
    paper = _papers_rows()
    parts = [("Two readings at the paper's level", two_readings(found))] if found else []
    for dataset in dict.fromkeys(reading.dataset for reading in found):
        here = [reading for reading in found if reading.dataset == dataset]
        rows = []
        for model in dict.fromkeys(reading.model for reading in here):
            if (dataset, model) in paper:
                theirs = tuple(Shown(paper[dataset, model].get(metric, "–")) for metric in TABLE2_METRICS)
                rows.append(((model_name(model), "the paper"), theirs))
            ours: dict[str, list[Shown]] = {}
            for reading in here:
                if reading.model == model:
                    ours.setdefault(reading.switch, []).append(_shown(reading))
            rows += [((model_name(model), switch), tuple(cells)) for switch, cells in ours.items()]
        labels = dict.fromkeys(reading.estimate.label for reading in here if reading.estimate.label)
        notes = (seeds_note([reading.estimate for reading in here]), *(f"Data: {label}." for label in labels))
        columns = tuple(map(metric_name, TABLE2_METRICS))
        caption = "Table 2 under the protocol's other readings."
        parts.append(
            (dataset_name(dataset), Sheet("sensitivity", "", caption, notes, ("Model", "Switch"), columns, tuple(rows)))
        )
    paragraph = (
        "One trained model per seed serves nearly all rows: a switch changes the queries, never the training. The "
        "default is the configuration's own protocol. Rows of max_length, positions, fold_in and retrained=false (the "
        "validation rows are not learnt from) are trainings of their own, with the settings and epochs that were tuned "
        "for the default; fold_in=true has a rank and scaling of its own."
    )
    return Page("How sensitive the numbers are to the protocol", (paragraph,), tuple(parts))


def gains_sheet(results: Results) -> Sheet:
    """What CREATE gains over SASRec under every reading that needs no other training, beside the paper's gain."""
    rows = []
    found = [one for one in readings(results) if one.metric == DECIDING and one.estimate.status == "run"]
    for dataset in dict.fromkeys(one.dataset for one in found):
        trained = {cell.labels["switch"] for cell in results.cells("sensitivity", dataset)}
        sasrec, create = (
            {one.switch: one.estimate for one in found if (one.dataset, one.model) == (dataset, model)}
            for model in ("sasrec", "create")
        )
        gains = {
            switch: ours
            for switch, below in sasrec.items()
            if switch in create and switch not in trained and (ours := gain(create[switch], below)) is not None
        }
        if DEFAULT not in gains:
            continue
        theirs = [reported_value("table2", dataset, model, DECIDING) for model in ("sasrec", "create")]
        ordered = sorted(gains, key=lambda switch: gains[switch])
        cells = (
            *map(printed, theirs),
            *(show_estimate(one[DEFAULT]) for one in (sasrec, create)),
            signed_percent(theirs[1] / theirs[0] - 1),
            signed_percent(gains[DEFAULT]),
            *(f"{signed_percent(gains[switch])} ({switch})" for switch in (ordered[0], ordered[-1])),
            str(len(gains)),
        )
        rows.append(((dataset_name(dataset),), tuple(map(Shown, cells))))
    caption = (
        f"{metric_name(DECIDING)} in %, and what CREATE gains over SASRec: by the paper, by our default, and by the "
        "readings of the protocol that give the least and the most. The trained models are the same."
    )
    levels = ("The paper's SASRec", "Its CREATE", "Our SASRec", "Our CREATE")
    columns = (*levels, "Gain, the paper", "Gain, ours", "Least", "Most", "Readings")
    return Sheet("gains", "", caption, (), ("Dataset",), columns, tuple(rows))


def write_sensitivity(results: Results, folder: Path) -> None:
    """Writes sensitivity.csv, .md and .html into `folder`."""
    found = list(readings(results))
    rows = [
        [
            *(reading.dataset, reading.model, reading.switch, reading.metric),
            exact_percent(reading.estimate.mean) if reading.estimate.run else None,
            *(exact_percent(reading.estimate.std), len(reading.estimate.values), reading.estimate.planned),
            *(reading.estimate.label, exact_percent(reading.draws_std)),
        ]
        for reading in found
    ]
    write_csv(folder / "sensitivity.csv", _HEADER, rows)
    write_page(sensitivity_page(found), folder / "sensitivity")
