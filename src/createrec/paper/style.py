"""The house style of all figures: sizes for a printed column, colours that the colour-blind and a grey printer keep."""

import io
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from createrec.files import atomic_path

COLUMN_WIDTH = 3.35  # inches, one column of a two-column page
PAGE_WIDTH = 6.95  # inches, both columns
# Okabe and Ito's colours, ordered so that neighbours also differ in lightness; each has its own marker and dash.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
GREY = "#595959"
PAPER = "#882255"  # everything that the paper reports, in every figure
PANEL_CHARACTERS = 56  # of 7 pt, that fit over a panel of one column
NOTE_CHARACTERS = {COLUMN_WIDTH: 68, PAGE_WIDTH: 146}  # of 6.5 pt, that fit under a figure of this width
# What each colour becomes on a dark page; text without a colour of its own is black.
_DARK: Mapping[str, str] = {
    "#000000": "#e8e6e3",
    "#ffffff": "#16191d",
    GREY.lower(): "#a9a7a2",
    PAPER.lower(): "#f08fbf",
    "#0072b2": "#56b4e9",
    "#56b4e9": "#0072b2",
    "#d55e00": "#ff8b3d",
    "#009e73": "#2fc79a",
    "#d9d9d9": "#3a3f45",
}
_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#d9d9d9",
    "grid.linewidth": 0.6,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 2.8,  # long enough to show the dash
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "path",  # the same letters on every machine
    "svg.hashsalt": "createrec",  # names inside the file that repeat
    "savefig.dpi": 300,
    "figure.constrained_layout.use": True,
}


@contextmanager
def house_style() -> Iterator[None]:
    """The settings above on top of matplotlib's own defaults, whatever the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def title(axes: Axes, name: str, lines: Sequence[str]) -> None:
    """The dataset's name, and under it in grey what a reader must know: data label, what is missing."""
    lines = [line for line in lines if line]
    # A line wider than the panel would make the layout squeeze the panel.
    lines = [part for line in lines for part in textwrap.wrap(line, PANEL_CHARACTERS)]
    axes.set_title(name, pad=4 + 9.5 * len(lines))
    axes.annotate(
        "\n".join(lines), (0, 1), (0, 3), xycoords="axes fraction", textcoords="offset points", color=GREY, fontsize=7
    )


def notes(figure: Figure, lines: Sequence[str], width: float) -> None:
    """What a reader must know about the whole figure, in small print under it."""
    wrapped = [part for line in lines for part in textwrap.wrap(line, NOTE_CHARACTERS[width])]
    if wrapped:
        figure.supxlabel("\n".join(wrapped), x=0.01, ha="left", fontsize=6.5, color=GREY, linespacing=1.35)


def empty(axes: Axes, text: str) -> None:
    """An annotated panel in place of a curve that cannot be drawn."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)
    axes.set_yticks([])
    axes.grid(False)


def save(figure: Figure, stem: Path) -> None:
    """Writes `<stem>.pdf` and `<stem>.png`; no dates, no versions, so that the same records give the same bytes."""
    nothing = {"Creator": None, "Producer": None, "CreationDate": None}
    with atomic_path(Path(f"{stem}.pdf")) as temporary:
        FigureCanvasPdf(figure).print_figure(temporary, format="pdf", metadata=nothing)
    with atomic_path(Path(f"{stem}.png")) as temporary:
        FigureCanvasAgg(figure).print_figure(temporary, format="png", metadata={"Software": None})


def to_svg(figure: Figure, *, dark: bool = False) -> str:
    """The figure as SVG text, for a light or a dark page; the same records give the same text."""
    text = io.StringIO()
    FigureCanvasSVG(figure).print_figure(text, format="svg", metadata={"Creator": None, "Date": None})
    svg = text.getvalue()
    if not dark:
        return svg
    changed = re.sub(r"#[0-9a-f]{6}", lambda found: _DARK.get(found[0], found[0]), svg)
    return changed.replace("<svg ", f'<svg fill="{_DARK["#000000"]}" ', 1)
