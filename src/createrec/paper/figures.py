"""Figures 2-5 from records (paper, Sections 3.6 and 5): a PDF, a PNG, and the CSV behind each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from createrec.errors import ConfigError
from createrec.models.phases import JOINT, WARMUP
from createrec.paper.names import LOSSES, dataset_name
from createrec.paper.records import Estimate, Results
from createrec.paper.render import write_csv
from createrec.paper.style import (
    COLOURS,
    COLUMN_WIDTH,
    DASHES,
    GREY,
    MARKERS,
    PAGE_WIDTH,
    empty,
    house_style,
    save,
    title,
)
from createrec.paper.sweeps import METRIC, SWEEPS, Sweep
from createrec.paper.tables import exact_percent

_PANEL_HEIGHT = 1.75  # inches


def _nothing_planned() -> Figure:
    """What an overlay that leaves a figure out gets."""
    figure = Figure(figsize=(COLUMN_WIDTH, _PANEL_HEIGHT))
    axes = figure.subplots()
    empty(axes, "nothing planned")
    axes.set_xticks([])
    return figure


# --- Figures 3, 4, 5: NDCG@10 against one setting -----------------------------------------------------------------


def _seeds(points: Sequence[Estimate]) -> str:
    counts = sorted({len(point.values) for point in points})
    if counts == [1]:
        return "1 seed"
    return f"{counts[0]} seeds" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"


def _describe(points: Mapping[float, Estimate]) -> str:
    """What the line and the band are, and which points are missing."""
    found = [point for point in points.values() if point.run]
    if not found:
        return ""
    deviation = " ± std" if any(point.std for point in found) else ""
    seeds = _seeds(found)
    told = seeds if seeds == "1 seed" else f"mean{deviation} over {seeds}"
    absent = ", ".join(f"{value:g}" for value, point in points.items() if not point.run)
    return f"{told}; not run: {absent}" if absent else told


def _draw_sweep(axes: Axes, points: Mapping[float, Estimate], place: int) -> None:
    found = {value: point for value, point in points.items() if point.run}
    axes.set_xlim(*_padded(list(points)))
    if not found:
        empty(axes, next(iter(points.values())).status if points else "nothing planned")
        return
    x = np.array(sorted(found))
    mean = np.array([100 * found[value].mean for value in x])
    spread = np.array([100 * (found[value].std or 0.0) for value in x])
    colour = COLOURS[place % len(COLOURS)]
    if spread.any():
        axes.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
    axes.plot(x, mean, color=colour, marker=MARKERS[place % len(MARKERS)], linestyle=DASHES[place % len(DASHES)])
    axes.margins(y=0.1)


def _padded(values: Sequence[float]) -> tuple[float, float]:
    """Limits of an x axis around all planned values, so that a missing point leaves its gap."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    pad = 0.04 * ((high - low) or 1.0)
    return low - pad, high + pad


def sweep_figure(results: Results, sweep: Sweep) -> tuple[Figure, list[list[Any]]]:
    """A panel per data set, each with its own scale; and the rows of the CSV."""
    datasets = getattr(results.config.ablations, sweep.coordinate).datasets
    if not datasets:
        return _nothing_planned(), []
    rows: list[list[Any]] = []
    figure = Figure(figsize=(COLUMN_WIDTH, 0.35 + _PANEL_HEIGHT * len(datasets)))
    panels = figure.subplots(len(datasets), squeeze=False, sharex=True)[:, 0]
    for place, (dataset, axes) in enumerate(zip(datasets, panels, strict=True)):
        points = sweep.points(results, dataset)
        label = "; ".join(results.labels(results.cells(sweep.group, dataset)))
        title(axes, dataset_name(dataset), [label, _describe(points)])
        axes.set_ylabel("NDCG@10, %")
        _draw_sweep(axes, points, place)
        for value, point in points.items():
            numbers = [exact_percent(point.mean) if point.run else None, exact_percent(point.std)]
            rows.append([dataset, f"{value:g}", *numbers, len(point.values), point.planned, point.status, label])
    panels[-1].set_xlabel(sweep.axis)
    whole = all(value == int(value) for value in getattr(results.config.ablations, sweep.coordinate).values)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=whole, steps=[1, 2, 5, 10]))
    figure.align_ylabels()
    return figure, rows


# --- Figure 2: the training process -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curves:
    """What happened in training, epoch by epoch, counted from 1 over both phases.

    Attributes:
        losses: term -> (epochs, values).
        validation: (epochs, NDCG@10 in %).
        warmup: epochs of the warm-up phase.
    """

    losses: Mapping[str, tuple[list[int], list[float]]]
    validation: tuple[list[int], list[float]]
    warmup: int


def read_curves(history: Sequence[Mapping[str, Any]]) -> Curves:
    """A record's history as curves."""
    losses: dict[str, tuple[list[int], list[float]]] = {}
    validation: tuple[list[int], list[float]] = ([], [])
    for epoch, entry in enumerate(history, start=1):
        for term, value in entry["losses"].items():
            epochs, values = losses.setdefault(term, ([], []))
            epochs.append(epoch)
            values.append(value)
        measured = (entry.get("validation") or {}).get(METRIC)
        if measured is not None:
            validation[0].append(epoch)
            validation[1].append(100 * measured)
    return Curves(losses, validation, sum(entry["phase"] == WARMUP for entry in history))


def _mark_warmup(axes: Axes, warmup: int, *, named: bool) -> None:
    if not warmup:
        return
    axes.axvline(warmup + 0.5, color=GREY, linewidth=0.9, linestyle=(0, (2, 2)))
    if named:
        axes.text(
            warmup + 0.5, 1.0, " warm-up ends", transform=axes.get_xaxis_transform(), va="top", color=GREY, fontsize=7
        )


def _draw_curves(upper: Axes, lower: Axes, runs: Mapping[int, Curves]) -> None:
    terms = list(dict.fromkeys(term for curves in runs.values() for term in curves.losses))
    for seed, curves in runs.items():
        first = seed == next(iter(runs))
        for place, term in enumerate(terms):
            if term in curves.losses:
                style = {"color": COLOURS[place % len(COLOURS)], "linestyle": DASHES[place % len(DASHES)]}
                name = LOSSES.get(term, term) if first else None
                upper.plot(*curves.losses[term], **style, label=name)
        epochs, values = curves.validation
        # Few points get markers: a curve of two of them would otherwise look like a trend.
        lower.plot(epochs, values, color=COLOURS[0], marker="o" if len(epochs) <= 10 else None)
    if all(value > 0 for curves in runs.values() for _, values in curves.losses.values() for value in values):
        upper.set_yscale("log")  # the terms differ by orders of magnitude
    warmup = next(iter(runs.values())).warmup
    _mark_warmup(upper, warmup, named=False)
    _mark_warmup(lower, warmup, named=True)
    lower.set_ylim(bottom=0)
    lower.margins(y=0.15)
    if not any(curves.validation[0] for curves in runs.values()):
        empty(lower, "no validation in this run")


def _seeds_drawn(runs: Mapping[int, Curves]) -> str:
    return f"{len(runs)} seeds, a curve each" if len(runs) > 1 else ""


def figure2(results: Results) -> tuple[Figure, list[list[Any]]]:
    """Training loss per term above, validation NDCG@10 below, a column per data set; and the rows of the CSV."""
    datasets = results.config.figure2.datasets
    if not datasets:
        return _nothing_planned(), []
    rows: list[list[Any]] = []
    width = PAGE_WIDTH if len(datasets) > 1 else COLUMN_WIDTH
    figure = Figure(figsize=(width, 3.9))
    panels = figure.subplots(2, len(datasets), squeeze=False, sharex="col", gridspec_kw={"height_ratios": [1.15, 1]})
    for dataset, (upper, lower) in zip(datasets, panels.T, strict=True):
        cells = results.cells("figure2", dataset)
        records = {cell.run.seed: results.record(cell.run) for cell in cells}
        runs = {seed: read_curves(record["history"]) for seed, record in records.items() if record is not None}
        label = "; ".join(results.labels(cells))
        title(upper, dataset_name(dataset), [label, _seeds_drawn(runs)])
        if runs:
            _draw_curves(upper, lower, runs)
        else:
            for axes in (upper, lower):
                empty(axes, results.missing(dataset))
                axes.set_xticks([])
        lower.set_xlabel("Epoch")
        lower.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        for seed, curves in runs.items():
            series = {
                **{f"loss {term}": curve for term, curve in curves.losses.items()},
                f"{METRIC} %": curves.validation,
            }
            for name, (epochs, values) in series.items():
                for epoch, value in zip(epochs, values, strict=True):
                    phase = WARMUP if epoch <= curves.warmup else JOINT
                    rows.append([dataset, seed, epoch, phase, name, round(value, 10), "run", label])
        rows += [
            [dataset, seed, None, None, None, None, results.missing(dataset), ""]
            for seed, record in records.items()
            if record is None
        ]
    panels[0, 0].set_ylabel("Training loss")
    panels[1, 0].set_ylabel("Validation NDCG@10, %")
    handles = {
        label: handle for axes in panels[0] for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if handles:
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside upper center",
            ncols=len(handles) if width > COLUMN_WIDTH else 1,
        )
    figure.align_ylabels()
    return figure, rows


_HEADER2 = ["dataset", "seed", "epoch", "phase", "series", "value", "status", "label"]
_SWEEP_HEADER = ["mean_percent", "std_percent", "seeds", "seeds_planned", "status", "label"]


def write_figure(results: Results, number: int, stem: Path) -> None:
    """Writes one figure as `<stem>.pdf`, `.png` and `.csv`.

    Raises:
        ConfigError: the paper has no such figure with data behind it (Figure 1 is a drawing).
    """
    if number != 2 and number not in SWEEPS:
        raise ConfigError(f"figure {number}: Figures 2 to {max(SWEEPS)} are made from records")
    with house_style():
        figure, rows = figure2(results) if number == 2 else sweep_figure(results, SWEEPS[number])
        save(figure, stem)
    header = _HEADER2 if number == 2 else ["dataset", SWEEPS[number].coordinate, *_SWEEP_HEADER]
    write_csv(Path(f"{stem}.csv"), header, rows)
