"""Our numbers beside those that others have published for the same files, split and models (docs/validation.md).

Theirs: Gusak et al., "Time to Split", RecSys 2025 (arXiv 2507.16289), from the result files of their repository
(github.com/monkey0head/time-to-split at 5a33f9f): validation by time, quantile 0.9, one seed per grid point. They stand
in `time_to_split.csv`, as fractions; nothing in that file is ours.

A figure of theirs and one of ours agree when they differ by at most two standard deviations of what two such trainings
differ by. How much trainings scatter is read off their own grid: the standard deviation over a point's neighbourhood,
all points of the same dimension and dropout with other blocks and heads. Ours scatter as much, or as our seeds do if
that is more, and over n seeds their mean scatters less. Both sides ask the same queries, so the sampling error of the
queries is common to both and stays out; but a random target is drawn by each side for itself, and that adds the
sampling error of both draws:

    margin = 2 sqrt(neighbourhood^2 + max(neighbourhood, seeds)^2 / n  [+ 2 value (1 - value) / queries])

The last term is exact for a hit rate, an upper bound for NDCG, and left out for coverage, which is no mean of queries.
"""

import csv
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from createrec.errors import DataError
from createrec.paper.names import dataset_name, metric_name, model_name
from createrec.paper.records import Estimate, Results
from createrec.paper.render import Page, Sheet, Shown, to_markdown, write_csv, write_page
from createrec.paper.style import COLOURS, GREY, MARKERS, PAGE_WIDTH, house_style, save
from createrec.paper.tables import TABLE2_METRICS, exact_percent, show_estimate
from createrec.runs.repeat import Repeat

THEIRS = "time_to_split.csv"
# Their kinds of query, and where a record of ours holds them: its own metrics, or a reading.
QUERIES = {"last": "", "first": "target=first", "random": "target=random"}
# Of these the target counts how many grid points agree.
COUNTED = ("ndcg@10", "recall@10")
MARGIN = 2.0  # standard deviations
AGREES, DIFFERS = "agrees", "differs"
_SETTINGS = ("dimension", "blocks", "heads", "dropout")
_HEADER = ["dataset", "model", "grid_point", "queries", "metric", "theirs", "ours", "seeds", "verdict"]


@dataclass(frozen=True)
class Published:
    """One point of their grid.

    Attributes:
        settings: dimension, blocks (layers of a GRU), heads and dropout, as they print them.
        values: (queries, metric) -> fraction.
    """

    settings: Mapping[str, str]
    values: Mapping[tuple[str, str], float]

    def is_neighbour(self, other: "Published") -> bool:
        """Whether the other point differs in blocks and heads alone; a point is its own neighbour."""
        return all(self.settings[name] == other.settings[name] for name in ("dimension", "dropout"))

    @property
    def name(self) -> str:
        """`64, 2, 2, 0.3`: dimension, blocks, heads (not of a GRU), dropout."""
        return ", ".join(self.settings[name] for name in _SETTINGS if self.settings[name])


@cache
def published_grid(dataset: str, model: str) -> Mapping[int, Published]:
    """Their points of one model on one dataset, by number.

    Raises:
        DataError: they give none.
    """
    with Path(__file__).with_name(THEIRS).open(encoding="utf-8", newline="") as file:
        found = {
            int(row["grid_point"]): Published(
                {name: row[name] for name in _SETTINGS},
                {
                    (queries, metric): float(row[f"{queries} {metric}"])
                    for queries in QUERIES
                    for metric in TABLE2_METRICS
                },
            )
            for row in csv.DictReader(file)
            if (row["dataset"], row["model"]) == (dataset, model)
        }
    if not found:
        raise DataError(f"{THEIRS}: no point of {model} on {dataset}; remove it from `validation` in the configuration")
    return found


def scatter(dataset: str, model: str, point: int, queries: str, metric: str) -> float:
    """Sample standard deviation over a point's neighbourhood, itself included, as a fraction."""
    grid = published_grid(dataset, model)
    near = [other.values[queries, metric] for other in grid.values() if grid[point].is_neighbour(other)]
    return statistics.stdev(near)


def margin(theirs: float, spread: float, ours: Sequence[float], sampled: int | None) -> float:
    """The largest difference between theirs and the mean of ours that noise explains (see above).

    Args:
        theirs: their value, a fraction.
        spread: standard deviation of single trainings in their neighbourhood.
        ours: one value per seed.
        sampled: number of queries where each side draws its own targets; None where both ask the same.
    """
    own = max(spread, statistics.stdev(ours)) if len(ours) > 1 else spread
    variance = spread**2 + own**2 / len(ours)
    if sampled is not None:
        variance += 2 * theirs * (1 - theirs) / sampled
    return MARGIN * math.sqrt(variance)


@dataclass(frozen=True)
class Checked:
    """One figure of theirs beside ours; `margin` is None where ours was not run."""

    dataset: str
    model: str
    point: int
    queries: str
    metric: str
    theirs: float
    ours: Estimate
    margin: float | None

    @property
    def verdict(self) -> str:
        """AGREES, DIFFERS, or why ours is absent."""
        if self.margin is None:
            return self.ours.status
        return AGREES if abs(self.ours.mean - self.theirs) <= self.margin else DIFFERS


def checks(results: Results) -> Iterator[Checked]:
    """Every figure of every planned grid point."""
    part = results.config.validation
    for dataset in part.datasets:
        for model, planned in part.models.items():
            grid = published_grid(dataset, model)
            for point in planned.points:
                if point not in grid:
                    raise DataError(f"{THEIRS}: no point {point} of {model} on {dataset}; known: {[*grid]}")
                cells = results.cells("validation", dataset, model, grid_point=point)
                records = [record for cell in cells if (record := results.record(cell.run)) is not None]
                for queries, reading in QUERIES.items():
                    held = [record["sensitivity"][reading] if reading else record["metrics"] for record in records]
                    for metric in TABLE2_METRICS:
                        values = tuple(float(one[metric]) for one in held)
                        theirs, spread = (
                            grid[point].values[queries, metric],
                            scatter(dataset, model, point, queries, metric),
                        )
                        drawn = queries == "random" and not metric.startswith("coverage") and bool(records)
                        sampled = records[0]["data"]["test_users"] if drawn else None
                        labels = "; ".join(sorted({record["label"] for record in records if record["label"]}))
                        yield Checked(
                            *(dataset, model, point, queries, metric, theirs),
                            Estimate(values, len(cells), labels, results.missing(dataset)),
                            margin(theirs, spread, values, sampled) if values else None,
                        )


def agreeing_points(found: Sequence[Checked], dataset: str, model: str | None = None) -> tuple[int, int]:
    """Grid points that agree in NDCG@10 and HR@10 of `last`, and those that were run; of all models or of one."""
    found = [one for one in found if model in (None, one.model)]
    verdicts: dict[tuple[str, int], list[str]] = {}
    for one in found:
        if one.dataset == dataset and one.queries == "last" and one.metric in COUNTED and one.margin is not None:
            verdicts.setdefault((one.model, one.point), []).append(one.verdict)
    return sum(all(verdict == AGREES for verdict in each) for each in verdicts.values()), len(verdicts)


def _cells(theirs: Checked) -> Shown:
    """`2.06 | 2.20 ± 0.05` with a cross where they differ."""
    ours = show_estimate(theirs.ours)
    return Shown(f"{100 * theirs.theirs:.2f} / {ours}{' ✗' if theirs.verdict == DIFFERS else ''}")


def validation_page(found: Sequence[Checked]) -> Page:
    """A part per dataset and kind of query: a row per grid point, theirs and ours in each cell."""
    parts = []
    for dataset in dict.fromkeys(one.dataset for one in found):
        agreeing, run = agreeing_points(found, dataset)
        for queries in QUERIES:
            here = [one for one in found if (one.dataset, one.queries) == (dataset, queries)]
            rows: dict[tuple[str, str, str], list[Shown]] = {}
            for one in here:
                name = published_grid(dataset, one.model)[one.point].name
                rows.setdefault((model_name(one.model), str(one.point), name), []).append(_cells(one))
            judged = [one.verdict == AGREES for one in here if one.margin is not None]
            notes = (
                f"Theirs / ours, in %; ✗ = they differ by more than the rule allows. {sum(judged)} of {len(judged)} "
                "figures agree.",
                *(
                    [f"{agreeing} of {run} grid points agree in both NDCG@10 and HR@10."]
                    if queries == "last" and run
                    else []
                ),
                *(f"Data: {label}." for label in dict.fromkeys(one.ours.label for one in here if one.ours.label)),
            )
            columns = tuple(metric_name(metric).replace("Recall", "HR") for metric in TABLE2_METRICS)
            caption = f"Target: {queries}."
            index = ("Model", "Grid point", "d, blocks, heads, dropout")
            table = Sheet(
                "validation", "", caption, notes, index, columns, tuple((k, tuple(v)) for k, v in rows.items())
            )
            parts.append((f"{dataset_name(dataset)}, {queries}", table))
    paragraphs = (
        'Theirs: "Time to Split" (Gusak et al., RecSys 2025, arXiv 2507.16289), one seed per grid point, from the '
        "result files of their repository at 5a33f9f. Ours: the same files, split, settings and queries.",
        "They agree when they differ by at most two standard deviations of what two such trainings differ by, read off "
        "the neighbourhood in their own grid (same dimension and dropout, other blocks and heads) and our seeds; for "
        "random targets, which each side draws for itself, the sampling error of both draws comes on top.",
    )
    return Page("Our numbers beside published ones", paragraphs, tuple(parts))


# --- the parts of docs/validation.md -------------------------------------------------------------------------------


def points_part(found: Sequence[Checked]) -> str:
    """How many points agree: a row per dataset, a column per model, and how near the mean over SASRec's points is."""
    models = list(dict.fromkeys(one.model for one in found))
    rows, notes = [], []
    for dataset in dict.fromkeys(one.dataset for one in found):
        counts = [agreeing_points(found, dataset, model) for model in (None, *models)]
        cells = [f"{agreeing} of {run}" if run else "not run" for agreeing, run in counts]
        planned = len({(one.model, one.point) for one in found if one.dataset == dataset})
        rows.append(((dataset_name(dataset),), tuple(map(Shown, (str(planned), *cells)))))
        run = [one for one in found if one.dataset == dataset and one.margin is not None]
        last = [one for one in run if (one.model, one.queries, one.metric) == ("sasrec", "last", COUNTED[0])]
        if not last:
            continue
        shift = sum(one.ours.mean for one in last) / sum(one.theirs for one in last) - 1
        above = sum(one.ours.mean > one.theirs for one in last)
        others = ", ".join(
            f"{sum(one.verdict == AGREES for one in run if one.queries == queries)} of "
            f"{sum(one.queries == queries for one in run)} of `{queries}`"
            for queries in QUERIES
        )
        side = "above" if shift >= 0 else "below"
        notes.append(
            f"{dataset_name(dataset)}: over SASRec's points ours is, in the mean, {100 * abs(shift):.0f} % {side} "
            f"theirs in NDCG@10 of `last`; {above} of {len(last)} are above. Of all figures, coverage too, these "
            f"agree: {others}."
        )
    caption = "Grid points that agree in NDCG@10 and HR@10 of `last`, of those that were run."
    columns = ("Planned", "All", *map(model_name, models))
    return to_markdown(Sheet("points", "", caption, tuple(notes), ("Dataset",), columns, tuple(rows)))


def differing_part(results: Results, found: Sequence[Checked]) -> str:
    """The points that differ in NDCG@10 or HR@10 of `last`: theirs / ours, and the epoch at which ours was stopped."""
    last = {
        (one.dataset, one.model, one.point, one.metric): one
        for one in found
        if one.queries == "last" and one.margin is not None
    }
    rows = []
    for dataset, model, point in dict.fromkeys(key[:3] for key in last):
        if all(last[dataset, model, point, metric].verdict == AGREES for metric in COUNTED):
            continue
        cells = results.cells("validation", dataset, model, grid_point=point)
        records = [record for cell in cells if (record := results.record(cell.run)) is not None]
        stopped = ", ".join(str(record["best_epoch"]) for record in records)
        shown = [_cells(last[dataset, model, point, metric]) for metric in (*COUNTED, "coverage@10")]
        rows.append(((dataset_name(dataset), model_name(model), str(point)), (*shown, Shown(stopped))))
    if not rows:
        return "None.\n"
    caption = (
        "Theirs / ours, in %; ✗ = they differ by more than the rule allows. Epoch: the one that was kept, per seed."
    )
    columns = ("NDCG@10", "HR@10", "Coverage@10", "Epoch")
    return to_markdown(Sheet("differing", "", caption, (), ("Dataset", "Model", "Point"), columns, tuple(rows)))


def _apart(first: float, second: float) -> float:
    """How far the second is from the first, as a share of the first."""
    return abs(second / first - 1)


def _span(shares: Sequence[float]) -> str:
    """`0.1 to 8.0 %`, the least and the most."""
    least, most = (f"{100 * share:.1f}" for share in (min(shares), max(shares)))
    return f"{most} %" if least == most else f"{least} to {most} %"


def twice_part(results: Results, again: Sequence[Repeat]) -> str:
    """How far apart two trainings of one grid point are: the same seed made twice, and two seeds.

    Args:
        again: runs that were made again; those of grid points count, made on the same kind of machine.
    """
    cells = {cell.run.folder: cell for cell in results.plan["validation"]}
    pairs = [pair for pair in again if pair.folder in cells and not pair.made_otherwise]
    if not pairs:
        return "No grid point was trained twice with one seed on machines of one kind.\n"
    metric = COUNTED[0]
    same: list[float] = []
    other: list[float] = []
    seeds: list[float] = []
    for pair in pairs:
        before = pair.published["metrics"][metric]
        share = _apart(before, pair.again["metrics"][metric])
        (same if pair.kept_epochs[0] == pair.kept_epochs[1] else other).append(share)
        here = cells[pair.folder]
        point = here.labels["grid_point"]
        for cell in results.cells("validation", here.run.dataset, here.run.model, grid_point=point):
            if cell.run.seed != here.run.seed and (record := results.record(cell.run)) is not None:
                seeds.append(_apart(before, record["metrics"][metric]))
    sentences = [f"{len(pairs)} trainings were made twice with one seed, on machines of one kind."]
    if same:
        sentences.append(f"{len(same)} kept the same epoch: their NDCG@10 of `last` moves by {_span(same)}.")
    if other:
        sentences.append(f"{len(other)} kept another epoch: it moves by {_span(other)}.")
    if seeds:
        sentences.append(f"The same points with another seed: by {_span(seeds)}.")
    return "".join(f"- {sentence}\n" for sentence in sentences)


def spent_part(results: Results) -> str:
    """What the trainings took, by device."""
    seconds: dict[str, list[float]] = {}
    for cell in results.plan["validation"]:
        if (record := results.record(cell.run)) is not None:
            seconds.setdefault(record["device"], []).append(sum(record["seconds"].values()))
    if not seconds:
        return "Nothing was run.\n"
    return "".join(
        f"- {device}: {len(each)} trainings, {sum(each) / 60:.0f} minutes in all, {min(each):.0f} to {max(each):.0f} "
        "seconds each, several at a time.\n"
        for device, each in sorted(seconds.items())
    )


# --- the figure ----------------------------------------------------------------------------------------------------

_FAMILIES = {"ndcg": "NDCG", "recall": "HR", "coverage": "Coverage"}


def _draw(axes: Axes, found: Sequence[Checked], models: Sequence[str]) -> None:
    """One dot per grid point, kind of query and cutoff, filled where they differ, and the diagonal."""
    values = [100 * value for one in found for value in (one.theirs, one.ours.mean)]
    if not values:
        axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center", va="center", color=GREY)
        return
    low, high = 0.9 * min(values), 1.1 * max(values)
    axes.plot([low, high], [low, high], color=GREY, linewidth=0.8, zorder=1)
    for place, queries in enumerate(QUERIES):
        for model in models:
            for verdict, fill in ((AGREES, "none"), (DIFFERS, "full")):
                dots = [one for one in found if (one.queries, one.model, one.verdict) == (queries, model, verdict)]
                axes.plot(
                    [100 * one.theirs for one in dots],
                    [100 * one.ours.mean for one in dots],
                    linestyle="none",
                    marker=MARKERS[place],
                    markersize=3,
                    markeredgewidth=0.6,
                    color=COLOURS[models.index(model) % len(COLOURS)],
                    fillstyle=fill,
                    label=f"{model_name(model)}, {queries}" if verdict == AGREES else None,
                )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_aspect("equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())


def validation_figure(found: Sequence[Checked]) -> Figure:
    """Theirs against ours: a row per dataset, a column per kind of metric, both cutoffs in one panel."""
    datasets = list(dict.fromkeys(one.dataset for one in found))
    models = list(dict.fromkeys(one.model for one in found))
    figure = Figure(figsize=(PAGE_WIDTH, 0.5 + 2.35 * max(1, len(datasets))))
    panels = figure.subplots(max(1, len(datasets)), len(_FAMILIES), squeeze=False)
    for row, dataset in zip(panels, datasets, strict=False):
        for axes, (family, name) in zip(row, _FAMILIES.items(), strict=True):
            run = [one for one in found if one.dataset == dataset and one.metric.startswith(family) and one.ours.run]
            _draw(axes, run, models)
            axes.set_title(f"{dataset_name(dataset)}, {name}")
            axes.set_xlabel("theirs, %")
        row[0].set_ylabel("ours, %")
    handles = {
        label: handle for axes in panels.flat for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if handles:
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside upper center",
            ncols=len(QUERIES),
            title="Hollow: the two agree; filled: they differ by more than noise explains",
        )
    return figure


def write_validation(results: Results, folder: Path) -> None:
    """Writes validation.csv (in %), .md, .html, .pdf and .png into `folder`."""
    found = list(checks(results))
    rows = [
        [
            *(one.dataset, one.model, one.point, one.queries, one.metric, exact_percent(one.theirs)),
            exact_percent(one.ours.mean) if one.ours.run else None,
            *(len(one.ours.values), one.verdict),
        ]
        for one in found
    ]
    write_csv(folder / "validation.csv", _HEADER, rows)
    write_page(validation_page(found), folder / "validation")
    with house_style():
        save(validation_figure(found), folder / "validation")
