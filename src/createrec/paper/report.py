"""The published results as one page that needs nothing from outside: `results/published/report.html`.

Everything on it follows from the records: claims first, then tables, figures, tests of significance, sensitivity to the
protocol, and for each number where it comes from. `report.html.j2` is the page, this module what it shows.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from createrec.exhibits import Exhibit, function, of_kind
from createrec.files import read_json
from createrec.paper.claims import RULES, VERDICTS, Claim, judge, paper_text
from createrec.paper.comparison import run_tests, significance_page
from createrec.paper.costs import costs_sheet
from createrec.paper.figures import draw
from createrec.paper.headline import SECTIONS, WHOLE, headlines
from createrec.paper.names import DECIDING, dataset_name, metric_name, model_name
from createrec.paper.records import NO_DATA, Estimate, Results
from createrec.paper.render import Page, Sheet, Shown, write_text
from createrec.paper.reported import printed, reported_values
from createrec.paper.sensitivity import readings, sensitivity_page
from createrec.paper.style import house_style, to_svg
from createrec.paper.tables import (
    BY_DESIGN,
    TABLE2_METRICS,
    gain,
    percent,
    show_estimate,
    signed_percent,
)
from createrec.paper.validation import checks, validation_page

_CREATE_FIRST = ("create", "sasrec")  # the comparison that the paper is about, one row under the other


def anchor(text: str) -> str:
    """A text as the end of an address inside the page."""
    return "".join(sign if sign.isalnum() else "-" for sign in text.lower()).strip("-")


# --- claims -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ShownClaim:
    """One claim as a row of the page; `section` is the paper's."""

    claim: Claim
    section: str

    @property
    def dataset(self) -> str:
        return dataset_name(self.claim.dataset)

    @property
    def paper(self) -> str:
        return paper_text(self.claim)


def _sections(claims: Iterable[Claim]) -> dict[str, str]:
    """The paper's section -> the tables and figures that claims rest on, as the filter names them."""
    found: dict[str, list[str]] = {}
    for source in sorted({claim.source for claim in claims}, key=lambda source: (SECTIONS[source], source)):
        found.setdefault(SECTIONS[source], []).append(source)
    return {section: f"{section} ({', '.join(sources)})" for section, sources in found.items()}


# --- Table 2, one table per dataset -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """One number of Table 2 with the paper's under it; `run` is where its records are described."""

    ours: str
    paper: str
    run: str
    best: bool = False


@dataclass(frozen=True)
class Block:
    """Table 2 of one dataset: a row per model, CREATE first, a column per metric."""

    dataset: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def _gain_row(
    estimates: Mapping[tuple[str, str], Estimate], paper: Mapping[tuple[str, str], float]
) -> tuple[Cell, ...]:
    cells = []
    for metric in TABLE2_METRICS:
        found = gain(estimates["create", metric], estimates["sasrec", metric])
        theirs = paper.get(("create", metric)), paper.get(("sasrec", metric))
        beside = signed_percent(theirs[0] / theirs[1] - 1) if theirs[0] and theirs[1] else ""
        cells.append(Cell("–" if found is None else signed_percent(found), beside, ""))
    return tuple(cells)


def table2_blocks(results: Results) -> Iterator[Block]:
    """Every dataset of Table 2 of which something was run."""
    for dataset in results.config.table2.datasets:
        models = list(results.config.table2.models)
        models = [
            *(model for model in _CREATE_FIRST if model in models),
            *(m for m in models if m not in _CREATE_FIRST),
        ]
        estimates = {
            (model, metric): results.estimate(results.cells("table2", dataset, model), metric, dataset)
            for model in models
            for metric in TABLE2_METRICS
        }
        if not any(estimate.run for estimate in estimates.values()):
            continue
        paper = {
            (row.model, row.metric): row.value
            for row in reported_values()
            if (row.table, row.dataset) == ("table2", dataset)
        }
        competing = {
            place: float(percent(estimate.mean))
            for place, estimate in estimates.items()
            if place[0] not in BY_DESIGN and estimate.run and estimate.above_zero
        }
        highest = {
            metric: max((value for (_, of), value in competing.items() if of == metric), default=None)
            for metric in TABLE2_METRICS
        }
        rows = []
        for model in models:
            place = f"run-{anchor(f'{dataset}-{model}-table2')}"
            cells = []
            for metric in TABLE2_METRICS:
                estimate = estimates[model, metric]
                theirs = printed(paper[model, metric]) if (model, metric) in paper else ""
                best = (model, metric) in competing and competing[model, metric] == highest[metric]
                cells.append(Cell(show_estimate(estimate), theirs, place if estimate.run else "", best))
            rows.append((model_name(model), tuple(cells)))
            if model == "sasrec" and "create" in models:
                rows.append(("CREATE over SASRec", _gain_row(estimates, paper)))
        label = "; ".join(dict.fromkeys(estimate.label for estimate in estimates.values() if estimate.label))
        yield Block(dataset_name(dataset), label, tuple(map(metric_name, TABLE2_METRICS)), tuple(rows))


# --- sheets as grouped tables -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """A sheet whose first keys head a group of rows, and whose last key is the column that stays in sight.

    Attributes:
        groups: (heading of the group or "", rows of (key, cells)).
    """

    sheet: Sheet
    corner: str
    groups: tuple[tuple[str, tuple[tuple[str, tuple[Shown, ...]], ...]], ...]


def grid(sheet: Sheet) -> Grid:
    """A sheet as the page lays it out: all keys but the last head a group, or the first where that groups nothing."""
    depth = max(len(sheet.index) - 1, 0)
    if len({keys[:depth] for keys, _ in sheet.rows}) == len(sheet.rows):
        depth = min(depth, 1)
    groups: dict[str, list[tuple[str, tuple[Shown, ...]]]] = {}
    for keys, cells in sheet.rows:
        heading = ", ".join(key for key in keys[:depth] if key != "–")  # a dash: the row has no such key
        groups.setdefault(heading, []).append((", ".join(keys[depth:]), cells))
    corner = ", ".join(sheet.index[depth:])
    return Grid(sheet, corner, tuple((heading, tuple(rows)) for heading, rows in groups.items()))


@dataclass(frozen=True)
class Grids:
    """A page of sheets: its paragraphs, and a grid under each heading."""

    page: Page
    parts: tuple[tuple[str, Grid], ...]


def _grids(page: Page) -> Grids:
    return Grids(page, tuple((heading, grid(sheet)) for heading, sheet in page.parts))


# --- figures ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Picture:
    """A figure for a light and a dark page, as addresses that hold the picture itself."""

    exhibit: Exhibit
    file: str
    light: str
    dark: str
    notes: tuple[str, ...]
    size: tuple[int, int]


def _address(svg: str) -> str:
    return "data:image/svg+xml," + quote(svg, safe=" =:/'(),;#".replace("#", ""))


def pictures(results: Results) -> Iterator[Picture]:
    """Every figure."""
    for exhibit in of_kind("figure"):
        with house_style():
            drawing = draw(results, exhibit.name)
            light, dark = (_address(to_svg(drawing.figure, dark=dark)) for dark in (False, True))
        width, height = (round(96 * inches) for inches in drawing.figure.get_size_inches())
        file = f"paper_figures/{exhibit.name}.csv"
        yield Picture(exhibit, file, light, dark, drawing.notes, (width, height))


# --- where each number comes from ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """The records of one place in the plan: one per seed.

    Attributes:
        anchor: its address inside the page.
        shown: the tables and figures that it is part of.
        settings: resolved, as JSON.
        records: the records, by seed.
    """

    anchor: str
    dataset: str
    model: str
    variant: str
    shown: tuple[str, ...]
    settings: str
    records: tuple[Mapping[str, Any], ...]

    def command(self, record: Mapping[str, Any]) -> str:
        """What makes one of its records again, from nothing."""
        folder = "/".join((record["dataset"], record["model"], record["variant"], f"seed{record['seed']}"))
        return f"snakemake results/runs/{folder}/record.json -c1"


_RECORD_COLUMNS = ("NDCG@10, %", "Seconds", "Peak GB", "Device", "Code", "Made")


def record_cells(record: Mapping[str, Any]) -> tuple[str, ...]:
    """A record under _RECORD_COLUMNS; what it does not hold is a dash."""
    measured, memory = record["metrics"].get(DECIDING), record.get("peak_memory_bytes")
    seconds = record.get("seconds")
    return (
        "–" if measured is None else f"{100 * measured:.4f}",
        "–" if not seconds else f"{sum(seconds.values()):,.0f}",
        "–" if not memory else f"{memory / 1e9:.2f}",
        *(str(record.get(key) or "–") for key in ("device", "code_version")),
        str(record.get("created") or "–")[:10],
    )


def sources(results: Results) -> list[Source]:
    """Every run of the plan that has a record, by dataset, model and variant."""
    shown: dict[tuple[str, str, str], dict[str, None]] = {}
    found: dict[tuple[str, str, str], dict[int, Mapping[str, Any]]] = {}
    for group, cells in results.plan.items():
        for cell in cells:
            run = cell.run
            record = results.record(run)
            if record is not None:
                key = (run.dataset, run.model, run.variant)
                shown.setdefault(key, {})[group] = None
                found.setdefault(key, {})[run.seed] = record
    return [
        Source(
            f"run-{anchor('-'.join(key))}",
            dataset_name(key[0]),
            model_name(key[1]),
            key[2],
            tuple(shown[key]),
            json.dumps(next(iter(records.values()))["settings"], indent=1),
            tuple(records[seed] for seed in sorted(records)),
        )
        for key, records in found.items()
    ]


# --- the GPU ------------------------------------------------------------------------------------------------------


def flat(found: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """The plain values inside nested mappings, by their keys joined with a point."""
    for key, value in found.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping):
            yield from flat(value, name)
        elif isinstance(value, float):
            yield name, f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
        elif isinstance(value, bool | int | str) and len(str(value)) < 80:
            yield name, str(value)


def read_gpu(path: Path) -> Mapping[str, Any] | None:
    """What a GPU measured (`benchmarks/gpu.py`), or None where it was not measured."""
    return read_json(path) if path.exists() else None


def epochs_on_gpu(found: Mapping[str, Any]) -> dict[str, tuple[float | None, float | None]]:
    """Model -> seconds of an epoch, operation by operation and replayed from one captured step; None = not measured."""
    epochs: dict[str, tuple[float | None, float | None]] = {}
    for model, ways in found.get("capture", {}).items():
        if isinstance(ways, Mapping):
            # The first epoch of a phase captures its step, the last one only replays it.
            eager, captured = (ways.get(way, {}).get("seconds", [None])[-1] for way in ("eager", "captured"))
            epochs[model] = (eager, captured)
    return epochs


def gpu_sheet(found: Mapping[str, Any]) -> Sheet:
    """What an epoch takes on a GPU, a row per model; then whatever else was measured."""
    rows = []
    for model, (eager, captured) in epochs_on_gpu(found).items():
        cells = ["–" if seconds is None else f"{seconds:.2f}" for seconds in (eager, captured)]
        cells.append(f"{eager / captured:.1f}" if eager and captured else "–")
        rows.append((("Seconds per epoch", model_name(model)), tuple(map(Shown, cells))))
    for step, inside in found.items():
        if isinstance(inside, Mapping) and step not in ("capture", "note"):
            rows += [((step, name), (Shown(text), Shown(""), Shown(""))) for name, text in flat(inside)]
    note = found.get("note", {})
    notes = [f"{key.replace('_', ' ').capitalize()}: {text}." for key, text in note.items()]
    caption = f"Measured on {found.get('device', 'a GPU')}, torch {found.get('torch', 'not recorded')}. "
    caption += "An epoch is the last of a training."
    columns = ("Step by step", "Replayed", "Times")
    return Sheet("gpu", "", caption, tuple(notes), ("What", "Model or figure"), columns, tuple(rows))


# --- the page -----------------------------------------------------------------------------------------------------


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("createrec.paper", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _absent(results: Results) -> list[str]:
    """The datasets of the plan that are not at hand."""
    names = dict.fromkeys(cell.run.dataset for cells in results.plan.values() for cell in cells)
    return [dataset_name(name) for name in names if results.missing(name) == NO_DATA]


def page(results: Results, gpu: Mapping[str, Any] | None) -> str:
    """The page as HTML.

    Args:
        results: the plan and its records.
        gpu: what `benchmarks/gpu.py` wrote; None = nothing was measured on a GPU.
    """
    claims = judge(results)
    # The paper's tables first, in its order.
    shown = sorted(of_kind("table"), key=lambda exhibit: (not exhibit.title.startswith("Table "), exhibit.title))
    tables = [function(exhibit.render)(results, exhibit).sheet for exhibit in shown]
    records = sources(results)
    compared = [one for one in checks(results) if one.ours.run]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            headlines=headlines(results, claims),
            whole=WHOLE,
            claims=[ShownClaim(claim, SECTIONS[claim.source]) for claim in claims],
            counts=Counter(claim.verdict for claim in claims),
            verdicts=VERDICTS,
            datasets=list(dict.fromkeys(dataset_name(claim.dataset) for claim in claims)),
            sections=_sections(claims),
            rules={name: text for name, text in RULES.items() if any(claim.rule == name for claim in claims)},
            blocks=list(table2_blocks(results)),
            tables=[grid(sheet) for sheet in tables if sheet.name != "table2"],
            table2=next(sheet for sheet in tables if sheet.name == "table2"),
            pictures=list(pictures(results)),
            significance=_grids(significance_page(run_tests(results))),
            sensitivity=_grids(sensitivity_page(list(readings(results)))),
            validation=_grids(validation_page(compared)) if compared else None,
            costs=grid(costs_sheet(results)),
            sources=records,
            record_columns=_RECORD_COLUMNS,
            record_cells=record_cells,
            runs=sum(len(source.records) for source in records),
            absent=_absent(results),
            left_out=results.left_out,
            gpu=None if gpu is None else grid(gpu_sheet(gpu)),
            anchor=anchor,
        )
    )


def write_report(results: Results, gpu: Path, output: Path) -> None:
    """Writes the page; the same records give the same bytes."""
    write_text(output, page(results, read_gpu(gpu)))
