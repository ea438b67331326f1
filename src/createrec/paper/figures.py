"""Figures 2-5 (paper, Sections 3.6 and 5) and Table 2 as a picture, from records: PDF, PNG, and the CSV behind each.

What the paper reports has one colour everywhere. Its levels differ from ours, so its numbers stand on an axis of their
own, on the right, which is scaled so that its CREATE of Table 2 stands at the height of ours.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from createrec.errors import DataError
from createrec.exhibits import LEVELS, Exhibit, find, function, wanted
from createrec.models.phases import JOINT, WARMUP
from createrec.paper.claims import difference
from createrec.paper.names import DECIDING, LOSSES, dataset_name, metric_name
from createrec.paper.records import Estimate, Results
from createrec.paper.render import write_csv
from createrec.paper.reported import described, printed, reported_value
from createrec.paper.style import (
    COLOURS,
    COLUMN_WIDTH,
    DASHES,
    GREY,
    PAGE_WIDTH,
    PAPER,
    empty,
    house_style,
    notes,
    save,
    title,
)
from createrec.paper.sweeps import points as points_of
from createrec.paper.tables import TABLE2_METRICS, exact_percent, gain

_PANEL_HEIGHT = 1.9  # inches
_OURS, _SASREC = COLOURS[0], COLOURS[1]


@dataclass(frozen=True)
class Drawing:
    """A figure and what goes with it.

    Attributes:
        header, rows: of its CSV.
        notes: what a reader must know to read it; they stand in small print under it.
    """

    figure: Figure
    header: tuple[str, ...]
    rows: list[list[Any]]
    notes: tuple[str, ...]


def _nothing(reason: str) -> Figure:
    """What stands in place of a figure of which nothing was planned or run."""
    figure = Figure(figsize=(COLUMN_WIDTH, 1.5))
    axes = figure.subplots()
    axes.set_axis_off()
    empty(axes, reason)
    return figure


def _finished(figure: Figure, header: Sequence[str], rows: list[list[Any]], lines: Sequence[str]) -> Drawing:
    width = COLUMN_WIDTH if figure.get_figwidth() <= COLUMN_WIDTH else PAGE_WIDTH
    notes(figure, lines, width)
    return Drawing(figure, tuple(header), rows, tuple(lines))


def _no_panels(results: Results, datasets: Sequence[str]) -> list[str]:
    """Which datasets are left out, a line per reason."""
    reasons: dict[str, list[str]] = {results.missing(dataset): [] for dataset in datasets}
    for dataset in datasets:
        reasons[results.missing(dataset)].append(dataset_name(dataset))
    return [f"No panel for {', '.join(names)}: {reason}." for reason, names in reasons.items()]


def _paper_value(dataset: str, model: str, metric: str) -> float | None:
    """The paper's number in Table 2, in %; None where it prints none."""
    try:
        return reported_value("table2", dataset, model, metric)
    except DataError:
        return None


# --- Figures 3, 4, 5: NDCG@10 against one setting -----------------------------------------------------------------

_SWEEP_HEADER = (
    *("mean_percent", "std_percent", "seeds", "seeds_planned", "paper_percent", "paper_says", "status", "label"),
)


@dataclass(frozen=True)
class Panel:
    """What one panel of Figures 3-5 shows; levels of the paper are in %, on its own axis.

    Attributes:
        points: value -> our estimate, in the order of the configuration.
        sasrec, create: ours of Table 2, the levels to compare with.
        paper: value -> the paper's number, where it prints one.
        says: value -> what the paper says about it, where it prints no number.
        paper_sasrec, paper_create: the paper's of Table 2.
    """

    dataset: str
    points: Mapping[float, Estimate]
    sasrec: Estimate
    create: Estimate
    paper: Mapping[float, float]
    says: Mapping[float, str]
    paper_sasrec: float | None
    paper_create: float | None

    @property
    def drawn(self) -> dict[float, Estimate]:
        """The points that were run, by value."""
        return {value: self.points[value] for value in sorted(self.points) if self.points[value].run}

    @property
    def scale(self) -> float | None:
        """How many of our points of % one of the paper's is tall; None without a common level."""
        if not self.create.run or not self.paper_create:
            return None
        return 100 * self.create.mean / self.paper_create


def _paper_curve(figure: str, dataset: str, values: Sequence[float]) -> tuple[dict[float, float], dict[float, str]]:
    """What the paper's text says of one curve: numbers by value, and words by value."""
    facts = described(figure).get(dataset, {})
    numbers: dict[float, float] = {}
    words: dict[float, str] = {}
    if "flat_level" in facts:
        numbers = {value: facts["flat_level"] for value in values if value >= facts["jump_to"]}
    if "best_level" in facts:
        numbers[facts["best"]] = facts["best_level"]
        numbers[max(values)] = facts["last_level"]
    elif "best" in facts:
        words[facts["best"]] = "best"
    if "plateau_above" in facts:
        words |= {value: f"better than up to {facts['plateau_above']:g}" for value in values} | {
            value: "" for value in values if value <= facts["plateau_above"]
        }
    return numbers, {value: word for value, word in words.items() if word}


def panel_of(results: Results, exhibit: Exhibit, dataset: str) -> Panel:
    """One panel of a figure over one setting."""
    points = points_of(results, exhibit, dataset)
    sasrec, create = (results.estimate(results.cells("table2", dataset, model), DECIDING, dataset) for model in LEVELS)
    numbers, words = _paper_curve(exhibit.name, dataset, list(points) or [0.0])
    levels = (_paper_value(dataset, model, DECIDING) for model in LEVELS)
    return Panel(dataset, points, sasrec, create, numbers, words, *levels)


def _draw_ours(axes: Axes, panel: Panel) -> None:
    """CREATE's curve: an error bar and a filled marker where there are two seeds or more, a hollow one for one seed."""
    found = panel.drawn
    planned = sorted(panel.points)
    # The mean of no seeds is NaN, which breaks the line: it joins neighbours of the plan alone.
    axes.plot(planned, [100 * panel.points[value].mean for value in planned], color=_OURS, linewidth=1.2, zorder=3)
    for several in (True, False):
        chosen = {value: point for value, point in found.items() if (point.std is not None) is several}
        if not chosen:
            continue
        means = [100 * point.mean for point in chosen.values()]
        axes.errorbar(
            list(chosen),
            means,
            yerr=[100 * (point.std or 0.0) for point in chosen.values()] if several else None,
            linestyle="none",
            marker="o",
            color=_OURS,
            markerfacecolor=_OURS if several else "white",
            capsize=2.5,
            zorder=4,
        )


def _draw_level(axes: Axes, level: Estimate) -> None:
    """SASRec's mean as a line, with its deviation as a band where it has two seeds or more."""
    if not level.run:
        return
    mean = 100 * level.mean
    axes.axhline(mean, color=_SASREC, linewidth=1.1, linestyle=(0, (5, 2)), zorder=2)
    if level.std is not None:
        spread = 100 * level.std
        axes.axhspan(mean - spread, mean + spread, color=_SASREC, alpha=0.15, linewidth=0, zorder=1)


def _draw_paper(axes: Axes, panel: Panel) -> None:
    """The paper's numbers, by the height of our axis; a value that it calls best stands at its CREATE of Table 2."""
    scale = panel.scale
    if scale is None:
        return
    if panel.paper_sasrec is not None:
        axes.axhline(scale * panel.paper_sasrec, color=PAPER, linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=2)
    shown = {**panel.paper, **{value: panel.paper_create for value, word in panel.says.items() if word == "best"}}
    if shown:
        heights = [scale * (height or 0.0) for _, height in sorted(shown.items())]
        level = len(heights) > 1 and len(set(heights)) == 1  # one number for a whole stretch: no points to mark
        style: dict[str, Any] = {
            "marker": "" if level else "D",
            "markersize": 4.5,
            "markerfacecolor": "none",
            "linewidth": 0.9,
        }
        axes.plot(sorted(shown), heights, color=PAPER, linestyle=":", zorder=3, **style)
    if plateau := [value for value, word in panel.says.items() if word != "best"]:
        axes.annotate(
            "the paper: better here",
            ((min(plateau) + max(plateau)) / 2, 0.03),
            xycoords=axes.get_xaxis_transform(),
            ha="center",
            color=PAPER,
            fontsize=6.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )
        ends = [min(plateau), max(plateau)]
        axes.plot(ends, [0.015, 0.015], color=PAPER, linewidth=2, transform=axes.get_xaxis_transform())


def _paper_axis(axes: Axes, panel: Panel) -> None:
    scale = panel.scale
    if scale is None:
        return
    factor = scale
    second = axes.secondary_yaxis(
        "right", functions=(lambda y: np.asarray(y) / factor, lambda y: np.asarray(y) * factor)
    )
    second.set_ylabel("the paper, %", color=PAPER)
    second.tick_params(axis="y", colors=PAPER)
    second.spines["right"].set_visible(True)
    second.spines["right"].set_color(PAPER)


def _sweep_legend(figure: Figure, panels: Sequence[Panel]) -> None:
    """Only what is drawn."""
    points = [point for panel in panels for point in panel.drawn.values()]
    handles = []
    if any(point.std is not None for point in points):
        handles.append(Line2D([], [], color=_OURS, marker="o", label="CREATE, mean ± std"))
    if any(point.std is None for point in points):
        handles.append(Line2D([], [], color=_OURS, marker="o", markerfacecolor="white", label="CREATE, one seed"))
    if any(panel.sasrec.run for panel in panels):
        band = any(panel.sasrec.std is not None for panel in panels)
        label = "SASRec ± std" if band else "SASRec, one seed"
        handles.append(Line2D([], [], color=_SASREC, linestyle=(0, (5, 2)), label=label))
    scaled = [panel for panel in panels if panel.scale is not None]
    if any(panel.paper or "best" in panel.says.values() for panel in scaled):
        style: dict[str, Any] = {"marker": "D", "markersize": 4.5, "markerfacecolor": "none", "linestyle": ":"}
        handles.append(Line2D([], [], color=PAPER, label="the paper's CREATE", **style))
    if any(panel.paper_sasrec is not None for panel in scaled):
        handles.append(Line2D([], [], color=PAPER, linestyle=(0, (1, 1.5)), label="the paper's SASRec"))
    figure.legend(handles=handles, loc="outside upper left", ncols=2, columnspacing=1.2, handlelength=2.2, fontsize=7)


def _values(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _left_out(panel: Panel) -> str:
    """Why a dataset has no panel."""
    name, found = dataset_name(panel.dataset), panel.drawn
    if found:
        return f"No panel for {name}: only {_values(list(found))} was run."
    reason = next(iter(panel.points.values())).status if panel.points else "nothing planned"
    return f"No panel for {name}: {reason}."


def _sweep_notes(title: str, panels: Sequence[Panel], shown: Sequence[Panel]) -> list[str]:
    lines = [_left_out(panel) for panel in panels if panel not in shown]
    scaled = [panel for panel in shown if panel.scale is not None]
    if scaled:
        levels = ", ".join(
            f"{dataset_name(panel.dataset)} {printed(panel.paper_create or 0.0)} at {100 * panel.create.mean:.2f}"
            for panel in scaled
        )
        lines.append(
            f"Right axis: the paper's numbers, scaled so that its CREATE of Table 2 stands at ours ({levels})."
        )
    if any("best" in panel.says.values() for panel in scaled):
        lines.append(
            f"The paper's text names the best value of its {title} and no level: "
            "the diamond stands at the level of its CREATE in Table 2."
        )
    if any(panel.paper for panel in scaled):
        lines.append("The paper's CREATE: the levels that its text gives for this figure.")
    return lines


def _sweep_rows(panel: Panel, label: str) -> list[list[Any]]:
    """A row per planned value of CREATE, then one for SASRec's level."""
    rows = []
    places = [("create", value, point) for value, point in panel.points.items()] + [("sasrec", None, panel.sasrec)]
    for series, value, point in places:
        numbers = [exact_percent(point.mean) if point.run else None, exact_percent(point.std)]
        theirs = panel.paper_sasrec if value is None else panel.paper.get(value)
        says = panel.says.get(value, "") if value is not None else "Table 2" if theirs is not None else ""
        where = None if value is None else f"{value:g}"
        counts = [len(point.values), point.planned]
        rows.append([panel.dataset, series, where, *numbers, *counts, theirs, says, point.status, label])
    return rows


def sweep_figure(results: Results, exhibit: Exhibit) -> Drawing:
    """A figure over one setting: a panel per dataset of which two values or more were run, each with its own scale."""
    part, sweep = wanted(results.config, exhibit), exhibit.sweep
    assert sweep is not None, f"{exhibit.name} says what is swept"
    header = ("dataset", "series", sweep.setting, *_SWEEP_HEADER)
    panels = [panel_of(results, exhibit, dataset) for dataset in part.datasets]
    labels = ["; ".join(results.labels(results.cells(exhibit.group, panel.dataset))) for panel in panels]
    rows = [row for panel, label in zip(panels, labels, strict=True) for row in _sweep_rows(panel, label)]
    shown = [(panel, label) for panel, label in zip(panels, labels, strict=True) if len(panel.drawn) > 1]
    lines = _sweep_notes(exhibit.title, panels, [panel for panel, _ in shown])
    if not shown:
        few = "fewer than two values run" if any(panel.drawn for panel in panels) else "not run"
        return _finished(_nothing(few if panels else "nothing planned"), header, rows, lines)
    figure = Figure(figsize=(COLUMN_WIDTH, 0.8 + 0.12 * len(lines) + _PANEL_HEIGHT * len(shown)))
    grid = figure.subplots(len(shown), squeeze=False, sharex=True)[:, 0]
    for (panel, label), axes in zip(shown, grid, strict=True):
        absent = [value for value, point in panel.points.items() if not point.run]
        title(axes, dataset_name(panel.dataset), [label, f"not run: {_values(absent)}" if absent else ""])
        axes.set_ylabel("NDCG@10, %")
        axes.set_xlim(*_padded(list(panel.points)))
        _draw_level(axes, panel.sasrec)
        _draw_ours(axes, panel)
        _draw_paper(axes, panel)
        axes.margins(y=0.08)
        _paper_axis(axes, panel)
    grid[-1].set_xlabel(sweep.axis)
    whole = all(value == int(value) for value in part.values)
    grid[-1].xaxis.set_major_locator(MaxNLocator(integer=whole, steps=[1, 2, 5, 10]))
    _sweep_legend(figure, [panel for panel, _ in shown])
    figure.align_ylabels()
    return _finished(figure, header, rows, lines)


def _padded(values: Sequence[float]) -> tuple[float, float]:
    """Limits of an x axis around all planned values, so that a missing point leaves its gap."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    pad = 0.04 * ((high - low) or 1.0)
    return low - pad, high + pad


# --- Table 2 as a picture: what CREATE gains over SASRec ----------------------------------------------------------


@dataclass(frozen=True)
class Gain:
    """CREATE's relative gain over SASRec in one metric of Table 2, as fractions.

    Attributes:
        interval: of the difference over seeds (Welch), relative to SASRec's mean; None where a side has one seed.
        seeds: how many seeds of CREATE and of SASRec were run.
    """

    dataset: str
    metric: str
    ours: float | None
    interval: tuple[float, float] | None
    paper: float | None
    seeds: tuple[int, int]
    label: str


def gains(results: Results, exhibit: Exhibit) -> list[Gain]:
    """Every dataset of Table 2 and each of its metrics."""
    found = []
    for dataset in wanted(results.config, exhibit).datasets:
        for metric in TABLE2_METRICS:
            create, sasrec = (
                results.estimate(results.cells(exhibit.group, dataset, model), metric, dataset)
                for model in ("create", "sasrec")
            )
            ours, interval = gain(create, sasrec), None
            if ours is not None:
                _, absolute = difference(create, sasrec)
                interval = None if absolute is None else (absolute[0] / sasrec.mean, absolute[1] / sasrec.mean)
            theirs = [_paper_value(dataset, model, metric) for model in ("create", "sasrec")]
            paper = theirs[0] / theirs[1] - 1 if theirs[0] is not None and theirs[1] else None
            seeds = (len(create.values), len(sasrec.values))
            label = "; ".join(sorted({side.label for side in (create, sasrec) if side.label}))
            found.append(Gain(dataset, metric, ours, interval, paper, seeds, label))
    return found


def _draw_gains(axes: Axes, rows: Sequence[Gain]) -> None:
    for place, row in enumerate(rows):
        if row.paper is not None:
            axes.plot([100 * row.paper], [place + 0.17], color=PAPER, marker="D", markerfacecolor="none", zorder=3)
        if row.ours is None:
            continue
        hollow = row.interval is None
        bar = None
        if row.interval is not None:
            bar = [[100 * (row.ours - row.interval[0])], [100 * (row.interval[1] - row.ours)]]
        axes.errorbar(
            [100 * row.ours],
            [place - 0.17],
            xerr=bar,
            linestyle="none",
            marker="o",
            color=_OURS,
            markerfacecolor="white" if hollow else _OURS,
            capsize=2.5,
            zorder=4,
        )
    axes.axvline(0, color=GREY, linewidth=0.9)
    axes.set_yticks(range(len(rows)), [metric_name(row.metric) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x")
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.08)


def gains_figure(results: Results, exhibit: Exhibit) -> Drawing:
    """Table 2 as a picture: a panel per dataset that was run, a row per metric, ours beside the paper's."""
    found = gains(results, exhibit)
    header = (
        *("dataset", "metric", "gain_percent", "low_percent", "high_percent", "seeds_create", "seeds_sasrec"),
        *("paper_percent", "status", "label"),
    )
    rows: list[list[Any]] = []
    for row in found:
        numbers = map(exact_percent, (row.ours, *(row.interval or (None, None))))
        status = results.missing(row.dataset) if row.ours is None else "run"
        rows.append([row.dataset, row.metric, *numbers, *row.seeds, exact_percent(row.paper), status, row.label])
    datasets = list(dict.fromkeys(row.dataset for row in found))
    shown = [name for name in datasets if any(row.ours is not None for row in found if row.dataset == name)]
    lines = _no_panels(results, [name for name in datasets if name not in shown])
    if not shown:
        return _finished(_nothing("not run" if datasets else "nothing planned"), header, rows, lines)
    lines.append(
        "Relative gain of the means. Bar: 95 % interval of the difference over seeds (Welch), for SASRec = 100 %."
    )
    if any(row.ours is not None and row.interval is None for row in found):
        lines.append("Hollow: a side has one seed, so there is no interval.")
    lines.append("The paper's gains follow from its Table 2, which gives no interval for them.")
    width = PAGE_WIDTH if len(shown) > 1 else COLUMN_WIDTH
    figure = Figure(figsize=(width, 2.75 + 0.12 * len(lines)))
    grid = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
    for name, axes in zip(shown, grid, strict=True):
        members = [row for row in found if row.dataset == name]
        label = "; ".join(dict.fromkeys(row.label for row in members if row.label))
        title(axes, dataset_name(name), [label.replace("ML-1M, ", "") if len(shown) > 2 else label])
        _draw_gains(axes, members)
    grid[len(grid) // 2].set_xlabel("Gain of CREATE over SASRec, %")
    handles = [
        Line2D([], [], color=_OURS, marker="o", label="ours, with its 95 % interval"),
        Line2D([], [], color=PAPER, marker="D", markerfacecolor="none", linestyle="none", label="the paper"),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=2)
    return _finished(figure, header, rows, lines)


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
        measured = (entry.get("validation") or {}).get(DECIDING)
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


def _terms(shown: Iterable[Mapping[int, Curves]]) -> list[str]:
    """The terms of the loss in a whole figure, in one order, so that a term looks the same in every panel.

    What comes first in a panel's history differs: the graph's term where there is a warm-up, the sequence's where not.
    """
    found = dict.fromkeys(term for runs in shown for curves in runs.values() for term in curves.losses)
    return [*(term for term in LOSSES if term in found), *(term for term in found if term not in LOSSES)]


def _draw_curves(upper: Axes, lower: Axes, runs: Mapping[int, Curves], terms: Sequence[str]) -> None:
    for seed, curves in runs.items():
        first = seed == next(iter(runs))
        for place, term in enumerate(terms):
            if term in curves.losses:
                style: dict[str, Any] = {
                    "color": COLOURS[place % len(COLOURS)],
                    "linestyle": DASHES[place % len(DASHES)],
                    "marker": "o" if len(curves.losses[term][0]) == 1 else None,  # a line of one point is nothing
                }
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
    return f"{len(runs)} seeds, a curve each" if len(runs) > 1 else "1 seed"


_HEADER2 = ("dataset", "seed", "epoch", "phase", "series", "value", "paper_percent", "status", "label")


def _curve_rows(dataset: str, seed: int, curves: Curves, label: str, paper: float | None) -> list[list[Any]]:
    """A row per epoch and series; the paper's level stands beside the last validation."""
    rows: list[list[Any]] = []
    series = {**{f"loss {term}": curve for term, curve in curves.losses.items()}, f"{DECIDING} %": curves.validation}
    for name, (epochs, values) in series.items():
        for epoch, value in zip(epochs, values, strict=True):
            phase = WARMUP if epoch <= curves.warmup else JOINT
            theirs = paper if name == f"{DECIDING} %" and epoch == epochs[-1] else None
            rows.append([dataset, seed, epoch, phase, name, round(value, 10), theirs, "run", label])
    return rows


def _paper_end(lower: Axes, curves: Curves, level: float | None) -> None:
    """The level at which the paper's own validation curve ends, over the joint epochs."""
    if level is None or not curves.validation[0]:
        return
    end = curves.validation[0][-1]
    lower.plot(
        [curves.warmup + 0.5, end],
        [level, level],
        color=PAPER,
        linewidth=1,
        linestyle=":",
        label="the paper's last level",
    )


def figure2(results: Results, exhibit: Exhibit) -> Drawing:
    """Training loss per term above, validation NDCG@10 below, a column per dataset that was run."""
    read: dict[str, dict[int, Curves]] = {}
    rows: list[list[Any]] = []
    for dataset in wanted(results.config, exhibit).datasets:
        cells = results.cells(exhibit.group, dataset)
        records = {cell.run.seed: results.record(cell.run) for cell in cells}
        read[dataset] = {seed: read_curves(record["history"]) for seed, record in records.items() if record is not None}
        label, paper = "; ".join(results.labels(cells)), described("figure2").get(dataset, {}).get("last_level")
        for seed, curves in read[dataset].items():
            rows += _curve_rows(dataset, seed, curves, label, paper)
        absent = [seed for seed, record in records.items() if record is None]
        rows += [[dataset, seed, *(None,) * 5, results.missing(dataset), ""] for seed in absent]
    shown = {dataset: runs for dataset, runs in read.items() if runs}
    lines = _no_panels(results, [name for name, runs in read.items() if not runs])
    if not shown:
        return _finished(_nothing("not run" if read else "nothing planned"), _HEADER2, rows, lines)
    width = PAGE_WIDTH if len(shown) > 1 else COLUMN_WIDTH
    figure = Figure(figsize=(width, 3.9 + 0.12 * len(lines)))
    panels = figure.subplots(2, len(shown), squeeze=False, sharex="col", gridspec_kw={"height_ratios": [1.15, 1]})
    for (dataset, runs), (upper, lower) in zip(shown.items(), panels.T, strict=True):
        label = "; ".join(results.labels(results.cells(exhibit.group, dataset)))
        title(upper, dataset_name(dataset), [label, _seeds_drawn(runs)])
        _draw_curves(upper, lower, runs, _terms(shown.values()))
        _paper_end(lower, next(iter(runs.values())), described("figure2").get(dataset, {}).get("last_level"))
        lower.set_xlabel("Epoch")
        lower.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    panels[0, 0].set_ylabel("Training loss")
    panels[1, 0].set_ylabel("Validation NDCG@10, %")
    handles = {
        label: handle for axes in panels.flat for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles.keys(), loc="outside upper left", ncols=len(handles) if width > COLUMN_WIDTH else 2
    )
    if any("last_level" in described("figure2").get(dataset, {}) for dataset in shown):
        lines.append(
            "The paper's last level: about the validation NDCG@10 at the end of its Figure 2, read from its plot."
        )
    figure.align_ylabels()
    return _finished(figure, _HEADER2, rows, lines)


# --- files --------------------------------------------------------------------------------------------------------


def draw(results: Results, name: str) -> Drawing:
    """One figure. Call it inside `house_style`.

    Raises:
        ConfigError: there is no such figure with data behind it (the paper's Figure 1 is a drawing).
    """
    exhibit = find("figure", name)
    drawing: Drawing = function(exhibit.render)(results, exhibit)
    return drawing


def write_figure(results: Results, name: str, stem: Path) -> None:
    """Writes one figure as `<stem>.pdf`, `.png` and `.csv`.

    Raises:
        ConfigError: there is no such figure with data behind it.
    """
    with house_style():
        drawing = draw(results, name)
        save(drawing.figure, stem)
    write_csv(Path(f"{stem}.csv"), drawing.header, drawing.rows)
