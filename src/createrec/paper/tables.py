"""Tables 1-5 from records (paper, Sections 4-5).

A table is a list of entries, each an estimate over seeds with its place (row, column) and the entries it
competes with for bold and underline. The CSV holds the entries, one per line; Markdown, LaTeX and HTML show them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from createrec.data import registry
from createrec.data.split import FEW_TEST_USERS
from createrec.errors import DataError
from createrec.exhibits import Exhibit, find, function, wanted
from createrec.paper.names import ALIGNMENTS, dataset_name, metric_name, model_name
from createrec.paper.records import FEWEST_HITS, NO_DATA, NOT_RUN, Estimate, Results
from createrec.paper.render import Mark, Sheet, Shown, to_html, to_latex, to_markdown, write_csv, write_text
from createrec.plan import Cell, alternatives
from createrec.written import DATASET_FILE, STATISTICS_FILE, read_description

BY_DESIGN = ("random", "poprnd")  # their coverage is high by design (paper, Section 4.4): they do not compete
TABLE2_METRICS = ("ndcg@10", "recall@10", "coverage@10", "ndcg@100", "recall@100", "coverage@100")
TABLE3_METRICS = ("recall@10", "ndcg@10")
TABLE4_METRICS = ("ndcg@10", "coverage@10", "ndcg@100", "coverage@100")
TABLE5_METRICS = ("ndcg@10", "recall@10")
_SMALL = 0.05  # %, below which two decimals would hide the number


@dataclass(frozen=True)
class Entry:
    """One estimate and its place.

    Attributes:
        row, column: where it is printed.
        coordinates: what it is, for the CSV (dataset, model, metric, ...).
        rivals: entries with equal rivals compete for best and second best; None = it does not compete.
        gain: relative gain over SASRec, where the table shows one.
    """

    row: tuple[str, ...]
    column: str
    estimate: Estimate
    coordinates: Mapping[str, str]
    rivals: tuple[str, ...] | None = None
    gain: float | None = None


def decimals(value: float) -> int:
    """Two decimals of a fraction in %, or three where the number is tiny."""
    return 3 if 0 < 100 * value < _SMALL else 2


def percent(value: float) -> str:
    """A fraction in %."""
    return f"{100 * value:.{decimals(value)}f}"


def signed_percent(value: float) -> str:
    """A relative difference in whole %, signed."""
    shown = f"{100 * value:+.0f} %".replace("-", "−")
    return "0 %" if shown in ("+0 %", "−0 %") else shown


def exact_percent(value: float | None) -> float | None:
    """A fraction in % for a CSV: ten decimals, so that 0.0187 is 1.87 and not 1.8699999999999999."""
    return None if value is None else round(100 * value, 10)


def show_estimate(estimate: Estimate) -> str:
    """`1.87 ± 0.01`, `1.87 ± 0.01 [2/3]` where seeds are missing, `not run`, or `not run †` without the data."""
    if not estimate.run:
        return f"{NOT_RUN} †" if estimate.missing == NO_DATA else estimate.missing
    deviation = "" if estimate.std is None else f" ± {100 * estimate.std:.{decimals(estimate.mean)}f}"
    seeds = len(estimate.values)
    incomplete = "" if seeds == estimate.planned else f" [{seeds}/{estimate.planned}]"
    return percent(estimate.mean) + deviation + incomplete


def marks(entries: Sequence[Entry]) -> list[Mark]:
    """Best and second best among rivals, as printed: numbers that print alike share a mark.

    What cannot be told from zero does not compete, and nothing is better than what it cannot be told from.
    """
    shown: dict[tuple[str, ...], dict[float, Estimate]] = {}
    competing = [entry.rivals is not None and entry.estimate.run and entry.estimate.above_zero for entry in entries]
    for entry, competes in zip(entries, competing, strict=True):
        if entry.rivals is not None and competes:
            shown.setdefault(entry.rivals, {})[float(percent(entry.estimate.mean))] = entry.estimate
    places = {rivals: _places(values) for rivals, values in shown.items()}
    return [
        places[entry.rivals].get(float(percent(entry.estimate.mean)), "")
        if entry.rivals is not None and competes
        else ""
        for entry, competes in zip(entries, competing, strict=True)
    ]


def _places(values: Mapping[float, Estimate]) -> dict[float, Mark]:
    """The marks of printed numbers. One number alone has beaten nobody."""
    order = sorted(values, reverse=True)
    places: dict[float, Mark] = {}
    names: tuple[Mark, ...] = ("best", "second")
    for place, name in enumerate(names):
        below = order[place + 1 : place + 2]
        if (
            len(order) < 2
            or place >= len(order)
            or not all(values[order[place]].apart(values[value]) for value in below)
        ):
            break
        places[order[place]] = name
    return places


# --- notes --------------------------------------------------------------------------------------------------------


def seeds_note(estimates: Iterable[Estimate]) -> str:
    """Over how many seeds, as planned."""
    counts = sorted({estimate.planned for estimate in estimates})
    if counts in ([], [1]):
        return "In %; one seed, so without a deviation."
    number = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"In %; mean ± sample standard deviation over {number} seeds."


def users_notes(results: Results, cells: Sequence[Cell]) -> list[str]:
    """What stands behind the numbers of each dataset: how many users, and how many targets nobody could hit."""
    notes = []
    for dataset in dict.fromkeys(cell.run.dataset for cell in cells):
        records = [results.record(cell.run) for cell in cells if cell.run.dataset == dataset]
        facts: Mapping[str, Any] = next((record["data"] for record in records if record is not None), {})
        if "test_users" not in facts:
            continue
        shares = [f"{100 * facts[key]:.1f} % {what}" for key, what in _SHARES.items() if facts.get(key) is not None]
        name, users = dataset_name(dataset), facts["test_users"]
        notes.append(f"{name}: {users:,} test users; of their targets {' and '.join(shares)}.")
        if users < FEW_TEST_USERS:
            notes.append(
                f"Warning: the {users:,} test users of {name} are few. There is no best, second best or gain among "
                f"numbers whose 95 % intervals over users overlap, nor for one with fewer than {FEWEST_HITS} hits, "
                "whose interval includes zero."
            )
        removed = any(record is not None and record["evaluation"].get("remove_seen") for record in records)
        if removed and facts.get("seen_targets"):
            notes.append(
                f"Warning: on {name} seen items leave the ranking, so that {100 * facts['seen_targets']:.1f} % of the "
                f"targets cannot be hit; datasets.{dataset}.remove_seen: false leaves them in."
            )
    return notes


_SHARES = {"cold_targets": "do not occur in training", "seen_targets": "were seen before"}


def common_notes(results: Results, cells: Sequence[Cell], estimates: Sequence[Estimate]) -> list[str]:
    """What every table and figure owes its reader: data labels, missing runs, records that were left out."""
    notes = []
    for dataset in dict.fromkeys(cell.run.dataset for cell in cells):
        here = [cell for cell in cells if cell.run.dataset == dataset]
        notes += [f"Data of {dataset_name(dataset)}: {label}." for label in results.labels(here)]
    if any(0 < len(estimate.values) < estimate.planned for estimate in estimates):
        notes.append("[n/m]: only n of the m planned seeds have been run.")
    if any(not estimate.run and estimate.missing == NO_DATA for estimate in estimates):
        notes.append("† data not at hand.")
    notes += [
        f"Left out, because its record is not the run that the plan asks for: {folder} ({how})."
        for folder, how in results.left_out_of(cells).items()
    ]
    return notes


# --- building -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """Entries and how they are laid out.

    Attributes:
        gains: row -> what the last column, Gain, shows; empty = there is no such column.
    """

    exhibit: Exhibit
    notes: tuple[str, ...]
    index: tuple[str, ...]
    entries: tuple[Entry, ...]
    gains: Mapping[tuple[str, ...], str]

    @property
    def sheet(self) -> Sheet:
        columns = tuple(dict.fromkeys(entry.column for entry in self.entries))
        placed = {
            (entry.row, entry.column): Shown(show_estimate(entry.estimate), mark)
            for entry, mark in zip(self.entries, marks(self.entries), strict=True)
        }
        rows = []
        for row in dict.fromkeys(entry.row for entry in self.entries):
            cells = tuple(placed.get((row, column), Shown("–")) for column in columns)
            rows.append((row, (*cells, Shown(self.gains[row])) if self.gains else cells))
        headings = (*columns, "Gain") if self.gains else columns
        name, title, caption = self.exhibit.name, self.exhibit.title, self.exhibit.caption
        return Sheet(name, title, caption, self.notes, self.index, headings, tuple(rows))

    def write(self, stem: Path) -> None:
        """Writes `<stem>.csv`, `.md`, `.tex` and `.html`."""
        names = list(dict.fromkeys(name for entry in self.entries for name in entry.coordinates))
        header = [*names, "mean_percent", "std_percent", "seeds", "seeds_planned", "gain_percent", "status", "label"]
        rows = []
        for entry in self.entries:
            estimate = entry.estimate
            numbers = (exact_percent(estimate.mean) if estimate.run else None, exact_percent(estimate.std))
            counts = (len(estimate.values), estimate.planned)
            ending = (exact_percent(entry.gain), estimate.status, estimate.label)
            rows.append([*(entry.coordinates.get(name) for name in names), *numbers, *counts, *ending])
        write_csv(Path(f"{stem}.csv"), header, rows)
        write_sheet(self.sheet, stem)


def write_sheet(sheet: Sheet, stem: Path) -> None:
    """Writes `<stem>.md`, `.tex` and `.html`."""
    for suffix, convert in ((".md", to_markdown), (".tex", to_latex), (".html", to_html)):
        write_text(Path(f"{stem}{suffix}"), convert(sheet))


def gain(ours: Estimate, baseline: Estimate) -> float | None:
    """Relative gain of the means; None where either is missing, or cannot be told from zero or from the other."""
    if not (ours.run and baseline.run and baseline.mean and ours.above_zero and baseline.above_zero):
        return None
    if not ours.apart(baseline):
        return None
    return ours.mean / baseline.mean - 1


def models_table(
    results: Results, exhibit: Exhibit, metrics: Sequence[str], notes: Sequence[str] = (), *, hits: bool = False
) -> Table:
    """A row per dataset and metric, a column per model, and CREATE's gain over SASRec.

    Args:
        notes: what stands under the table beside what stands under every one.
        hits: recall is printed as HR, its name where there is one target per user.
    """
    models = wanted(results.config, exhibit).models
    entries: list[Entry] = []
    gains: dict[tuple[str, ...], str] = {}
    for dataset in wanted(results.config, exhibit).datasets:
        for metric in metrics:
            printed = metric_name(metric.replace("recall", "hr") if hits else metric)
            row = (dataset_name(dataset), printed)
            estimates = {
                model: results.estimate(results.cells(exhibit.group, dataset, model), metric, dataset)
                for model in models
            }
            over_sasrec = None
            if {"sasrec", "create"} <= set(estimates):
                over_sasrec = gain(estimates["create"], estimates["sasrec"])
                gains[row] = "–" if over_sasrec is None else signed_percent(over_sasrec)
            for model, estimate in estimates.items():
                entries.append(
                    Entry(
                        row,
                        model_name(model),
                        estimate,
                        {"dataset": dataset, "model": model, "metric": metric},
                        None if model in BY_DESIGN else row,
                        over_sasrec if model == "create" else None,
                    )
                )
    everyone = [entry.estimate for entry in entries]
    reading = [seeds_note(everyone), "Best in bold, second best underlined."]
    if {"sasrec", "create"} <= set(models):
        reading.append("Gain: CREATE over SASRec, of the means.")
    cells = results.plan[exhibit.group]
    everything = (*reading, *notes, *users_notes(results, cells), *common_notes(results, cells, everyone))
    return Table(exhibit, everything, ("Dataset", "Metric"), tuple(entries), gains)


def table2(results: Results, exhibit: Exhibit) -> Table:
    """The main comparison (Section 4.4)."""
    notes = []
    if set(BY_DESIGN) & set(wanted(results.config, exhibit).models):
        notes.append("Random and PopRnd, whose coverage is high by design, do not compete.")
    return models_table(results, exhibit, TABLE2_METRICS, notes)


def table3(results: Results, exhibit: Exhibit) -> Table:
    """CREATE beside multi-representational models in the LOOM setup (Section 4.4)."""
    notes = []
    if set(wanted(results.config, exhibit).datasets) & set(registry.datasets()):
        notes.append(
            "The absolute level of the paper's Table 3 cannot come from the 2014 5-core data with leave-one-out and "
            "full ranking, so the order of the models and their relative gaps are what to compare."
        )
    if "loom" in wanted(results.config, exhibit).models:
        notes.append("LOOM is a reconstruction from its description: its code was not to be had.")
    return models_table(results, exhibit, TABLE3_METRICS, notes, hits=True)


def _finish(results: Results, exhibit: Exhibit, index: tuple[str, ...], entries: list[Entry], *notes: str) -> Table:
    estimates = [entry.estimate for entry in entries]
    reading = (seeds_note(estimates), "Best in bold, second best underlined.", *notes)
    cells = results.plan[exhibit.group]
    everything = (*reading, *users_notes(results, cells), *common_notes(results, cells, estimates))
    return Table(exhibit, everything, index, tuple(entries), {})


def _settings_notes(results: Results, exhibit: Exhibit, *parts: str) -> list[str]:
    """On each dataset, which alternatives to a part of CREATE had a search of their own, and which had none."""
    notes = []
    for dataset in wanted(results.config, exhibit).datasets if results.config.hparams else ():
        cells = [cell for cell in results.cells(exhibit.group, dataset, "create") if results.record(cell.run)]
        kinds = [{part: cell.labels[part] for part in parts} for cell in cells]
        found = alternatives(results.config, dataset, kinds)
        searched, others = ([name for name, own in found.items() if own is asked] for asked in (True, False))
        if others:
            notes.append(
                f"{dataset_name(dataset)}: {', '.join(others)} ran under the settings found for CREATE, which favours "
                f"CREATE's own parts{'; searched for themselves: ' + ', '.join(searched) if searched else ''}."
            )
        elif searched:
            notes.append(f"{dataset_name(dataset)}: each alternative had a search of its own.")
    return notes


def table4(results: Results, exhibit: Exhibit) -> Table:
    """Alignment losses (Section 5.3)."""
    part = wanted(results.config, exhibit)
    places = [("-", "sequential"), *((graph, kind) for graph in part.graphs for kind in part.alignments)]
    entries = []
    for dataset in part.datasets:
        for graph, alignment in places:
            cells = results.cells(exhibit.group, dataset, graph=graph, alignment=alignment)
            encoder = "–" if alignment == "sequential" else model_name(graph)
            for metric in TABLE4_METRICS:
                entries.append(
                    Entry(
                        (dataset_name(dataset), encoder, ALIGNMENTS[alignment]),
                        metric_name(metric),
                        results.estimate(cells, metric, dataset),
                        {"dataset": dataset, "graph": graph, "alignment": alignment, "metric": metric},
                        (dataset, metric),
                    )
                )
    notes = _settings_notes(results, exhibit, "graph", "alignment")
    return _finish(results, exhibit, ("Dataset", "Graph encoder", "Alignment"), entries, *notes)


def table5(results: Results, exhibit: Exhibit) -> Table:
    """Sequence and graph encoders (Section 5.4)."""
    part = wanted(results.config, exhibit)
    entries = []
    for dataset in part.datasets:
        for sequence in part.sequences:
            for metric in TABLE5_METRICS:
                for graph in part.graphs:
                    cells = results.cells(exhibit.group, dataset, sequence=sequence, graph=graph)
                    entries.append(
                        Entry(
                            (dataset_name(dataset), model_name(sequence), metric_name(metric)),
                            model_name(graph),
                            results.estimate(cells, metric, dataset),
                            {"dataset": dataset, "sequence": sequence, "graph": graph, "metric": metric},
                            (dataset, metric),
                        )
                    )
    note = "The paper names no dataset for its Table 5; the datasets here are ours."
    notes = _settings_notes(results, exhibit, "sequence", "graph")
    return _finish(results, exhibit, ("Dataset", "Sequence encoder", "Metric"), entries, note, *notes)


# --- Table 1: the datasets, not the runs -------------------------------------------------------------------------

_COUNTS = {"users": "Users", "items": "Items", "interactions": "Interactions"}
_SPLIT_COUNTS = {"train_interactions": "Training rows", "train_users": "Training users", "test_users": "Test users"}


def _optional(path: Path) -> Mapping[str, Any]:
    return read_description(path) if path.exists() else {}


@dataclass(frozen=True)
class DataTable:
    """Table 1: the lines of its CSV, and how they are shown."""

    sheet: Sheet
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def write(self, stem: Path) -> None:
        """Writes `<stem>.csv`, `.md`, `.tex` and `.html`."""
        write_csv(Path(f"{stem}.csv"), self.header, self.rows)
        write_sheet(self.sheet, stem)


def table1(results: Results, exhibit: Exhibit) -> DataTable:
    """Datasets and what the temporal split leaves of them (Sections 4.1, 4.2).

    Raises:
        DataError: a summary lacks a count.
    """
    rows, csv_rows, labels, missing = [], [], [], False
    for dataset in wanted(results.config, exhibit):
        summary = _optional(results.data / dataset / DATASET_FILE)
        split = _optional(results.splits / dataset / "temporal" / STATISTICS_FILE)
        if summary and (absent := set(_COUNTS) - set(summary)):
            raise DataError(f"dataset.json of {dataset}: lacks {', '.join(sorted(absent))}; prepare it again")
        counts = [summary.get(key) for key in _COUNTS] + [split.get(key) for key in _SPLIT_COUNTS]
        cold = split.get("cold_targets")
        absent_text = NOT_RUN if summary else f"{NOT_RUN} †"
        missing = missing or not summary
        shown = [Shown(absent_text if count is None else f"{count:,}") for count in counts]
        shown.append(Shown(absent_text if cold is None else f"{100 * cold:.1f}"))
        rows.append(((dataset_name(dataset),), tuple(shown)))
        status = "run" if summary and split else NOT_RUN if summary else NO_DATA
        label = summary.get("label", "")
        labels += [f"Data of {dataset_name(dataset)}: {label}."] if label else []
        csv_rows.append([dataset, *counts, exact_percent(cold), status, label])
    notes = [
        "Users, items and interactions as read. Training rows and users: at or before the cut in time of the global "
        "temporal split. Test users: training users whose last interaction lies after the cut. Cold targets: share "
        "of test users whose target does not occur in training.",
        *labels,
        *(["† data not at hand."] if missing else []),
    ]
    headings = (*_COUNTS.values(), *_SPLIT_COUNTS.values(), "Cold targets, %")
    header = ["dataset", *_COUNTS, *_SPLIT_COUNTS, "cold_targets_percent", "status", "label"]
    sheet = Sheet(exhibit.name, exhibit.title, exhibit.caption, tuple(notes), ("Dataset",), headings, tuple(rows))
    return DataTable(sheet, header, csv_rows)


def write_table(results: Results, name: str, stem: Path) -> None:
    """Writes one table as `<stem>.csv`, `.md`, `.tex` and `.html`.

    Raises:
        ConfigError: there is no such table.
    """
    exhibit = find("table", name)
    function(exhibit.render)(results, exhibit).write(stem)
