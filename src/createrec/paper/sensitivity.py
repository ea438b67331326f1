"""How far the numbers of Table 2 move under the protocol's other readings (docs/protocol.md).

A record holds its metrics once more under each switch of the evaluation; the trained model is the same. What only
another training can show has records of its own, the plan's group `sensitivity`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from createrec.paper.names import dataset_name, metric_name, model_name
from createrec.paper.records import Estimate, Results
from createrec.paper.render import Page, Sheet, Shown, page_to_html, page_to_markdown, write_csv, write_text
from createrec.paper.reported import printed, reported_values
from createrec.paper.tables import TABLE2_METRICS, exact_percent, seeds_note, show_estimate

DEFAULT = "default"
_HEADER = ["dataset", "model", "switch", "metric", "mean_percent", "std_percent", "seeds", "seeds_planned", "label"]


@dataclass(frozen=True)
class Reading:
    """One metric of one model under one switch (`target=first`, `max_length=10`), or as configured (DEFAULT)."""

    dataset: str
    model: str
    switch: str
    metric: str
    estimate: Estimate


def readings(results: Results) -> Iterator[Reading]:
    """Every model of Table 2 that was run, under the default and each switch that its records hold."""
    for dataset in results.config.table2.datasets:
        for model in results.config.table2.models:
            cells = results.cells("table2", dataset, model)
            records = [record for cell in cells if (record := results.record(cell.run)) is not None]
            measured = [{DEFAULT: record["metrics"], **record.get("sensitivity", {})} for record in records]
            for switch in dict.fromkeys(name for one in measured for name in one):
                for metric in TABLE2_METRICS:
                    values = tuple(one[switch][metric] for one in measured if metric in one.get(switch, {}))
                    planned = results.estimate(cells, metric, dataset)
                    yield Reading(dataset, model, switch, metric, replace(planned, values=values))
            trained = results.cells("sensitivity", dataset, model)
            for switch in dict.fromkeys(cell.labels["switch"] for cell in trained):
                cells = results.cells("sensitivity", dataset, model, switch=switch)
                for metric in TABLE2_METRICS:
                    estimate = results.estimate(cells, metric, dataset)
                    if estimate.run:
                        yield Reading(dataset, model, switch, metric, estimate)


def sensitivity_page(found: list[Reading]) -> Page:
    """A part per data set: a row per model and switch, and the paper's row where it has one."""
    paper: dict[tuple[str, str], dict[str, str]] = {}
    for row in reported_values():
        if row.table == "table2":
            paper.setdefault((row.dataset, row.model), {})[row.metric] = printed(row.value)
    parts = []
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
                    ours.setdefault(reading.switch, []).append(Shown(show_estimate(reading.estimate)))
            rows += [((model_name(model), switch), tuple(cells)) for switch, cells in ours.items()]
        labels = dict.fromkeys(reading.estimate.label for reading in here if reading.estimate.label)
        notes = (seeds_note([reading.estimate for reading in here]), *(f"Data: {label}." for label in labels))
        columns = tuple(map(metric_name, TABLE2_METRICS))
        caption = "Table 2 under the protocol's other readings."
        parts.append(
            (dataset_name(dataset), Sheet("sensitivity", "", caption, notes, ("Model", "Switch"), columns, tuple(rows)))
        )
    paragraph = (
        "One trained model a seed serves nearly all rows: a switch changes the queries, never the training. The "
        "default is the configuration's own protocol. Rows of max_length and of retrained=false (the validation rows "
        "are not learnt from) are trainings of their own, with the settings and epochs that were tuned for the default."
    )
    return Page("How sensitive the numbers are to the protocol", (paragraph,), tuple(parts))


def write_sensitivity(results: Results, folder: Path) -> None:
    """Writes sensitivity.csv, .md and .html into `folder`."""
    found = list(readings(results))
    rows = [
        [
            *(reading.dataset, reading.model, reading.switch, reading.metric),
            exact_percent(reading.estimate.mean) if reading.estimate.run else None,
            *(exact_percent(reading.estimate.std), len(reading.estimate.values), reading.estimate.planned),
            reading.estimate.label,
        ]
        for reading in found
    ]
    write_csv(folder / "sensitivity.csv", _HEADER, rows)
    page = sensitivity_page(found)
    write_text(folder / "sensitivity.md", page_to_markdown(page))
    write_text(folder / "sensitivity.html", page_to_html(page))
