"""Draws the pictures of README.md and docs/, each for a light and a dark page: python docs/pictures/draw.py

Only the standard library is used. A test compares the files with what this script writes.
"""

import html
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
WIDTH = 760  # wide enough for a page, narrow enough that 16-point text can be read on a phone
# Role -> (light, dark). Blue: sequence; orange: graph; green: shared table; wine: alignment.
COLOURS = {
    "ink": ("#1b1d1f", "#e8e6e3"),
    "soft": ("#5a5f66", "#a9a7a2"),
    "line": ("#8b9097", "#7d8289"),
    "page": ("#ffffff", "#0d1117"),
    "blue": ("#0072b2", "#56b4e9"),
    "blue-fill": ("#e8f2f9", "#12283a"),
    "orange": ("#b34700", "#ff9a57"),
    "orange-fill": ("#fcefe5", "#3a2213"),
    "green": ("#00704f", "#3fcf9f"),
    "green-fill": ("#e5f5ef", "#102f25"),
    "wine": ("#882255", "#f08fbf"),
    "wine-fill": ("#f7e9f0", "#351a29"),
    "grey-fill": ("#f2f3f5", "#1d2127"),
}


class Drawing:
    """SVG elements, in colours by role."""

    def __init__(self, height: int, title: str, *, dark: bool) -> None:
        self.height, self.title, self.dark = height, title, dark
        self.parts: list[str] = []

    def colour(self, role: str) -> str:
        return COLOURS[role][self.dark]

    def text(self, x: float, y: float, words: str, role: str = "ink", **style: object) -> None:
        """One line; `size`, `weight` and `anchor` may be given."""
        size, weight, anchor = style.get("size", 16), style.get("weight", 400), style.get("anchor", "middle")
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" fill="{self.colour(role)}" font-size="{size}" font-weight="{weight}" '
            f'text-anchor="{anchor}">{html.escape(words, quote=False)}</text>'
        )

    def box(self, x: float, y: float, width: float, height: float, role: str, *lines: str) -> None:
        """A rounded box with centred lines, the first in bold."""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="9" '
            f'fill="{self.colour(f"{role}-fill")}" stroke="{self.colour(role if role != "grey" else "line")}" '
            'stroke-width="1.6"/>'
        )
        top = y + height / 2 - 10 * (len(lines) - 1) + 5.5
        for place, line in enumerate(lines):
            first = {"weight": 600} if place == 0 else {"size": 14.5}
            self.text(x + width / 2, top + 20 * place, line, "ink" if place == 0 else "soft", **first)

    def line(self, *points: tuple[float, float], role: str = "line", arrow: bool = True, dashed: bool = False) -> None:
        """A broken line through points, with an arrow at its end."""
        path = " L".join(f"{x:g} {y:g}" for x, y in points)
        end = f' marker-end="url(#{role})"' if arrow else ""
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(f'<path d="M{path}" fill="none" stroke="{self.colour(role)}" stroke-width="1.8"{dash}{end}/>')

    def dot(self, x: float, y: float, role: str, *, filled: bool = True, radius: float = 7) -> None:
        fill = self.colour(role if filled else "page")
        self.parts.append(
            f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}" stroke="{self.colour(role)}" '
            'stroke-width="2"/>'
        )

    def target(self, x: float, y: float) -> None:
        """A ring around a dot: the item that is to be found."""
        self.dot(x, y, "wine", filled=False, radius=10)
        self.dot(x, y, "wine", radius=4.5)

    def svg(self) -> str:
        arrows = "".join(
            f'<marker id="{role}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            f'<path d="M0 0 L8 4 L0 8 z" fill="{self.colour(role)}"/></marker>'
            for role in ("line", "blue", "orange", "green", "wine")
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}" '
            f'height="{self.height}" font-family="{FONT}" role="img" aria-label="{html.escape(self.title)}">\n'
            f"<title>{html.escape(self.title, quote=False)}</title>\n<defs>{arrows}</defs>\n"
            + "\n".join(self.parts)
            + "\n</svg>\n"
        )


def create(dark: bool) -> str:
    """The model: two encoders over one item table, aligned; and its two phases of training."""
    title = "CREATE: a sequence encoder and a graph encoder share one item table and are aligned; "
    title += "a warm-up trains the graph encoder alone, then both are trained together."
    d = Drawing(468, title, dark=dark)
    d.box(16, 30, 190, 76, "grey", "one user's history", "items in order of time")
    d.box(16, 242, 190, 76, "grey", "the graph", "users and their items")
    d.box(16, 136, 190, 76, "green", "one item table", "shared by both")
    d.box(276, 30, 210, 76, "blue", "sequence encoder", "SASRec")
    d.box(276, 242, 210, 76, "orange", "graph encoder", "UltraGCN")
    d.line((206, 68), (274, 68), role="blue")
    d.line((206, 280), (274, 280), role="orange")
    d.line((206, 160), (330, 160), (330, 108), role="green")
    d.line((206, 188), (330, 188), (330, 240), role="green")
    d.box(556, 30, 188, 76, "blue", "the next item", "this alone recommends")
    d.box(556, 242, 188, 76, "orange", "graph loss", "fits users and items")
    d.line((486, 68), (554, 68), role="blue")
    d.line((486, 280), (554, 280), role="orange")
    d.box(410, 136, 210, 76, "wine", "Barlow Twins", "aligns the two user vectors")
    d.line((440, 108), (440, 134), role="wine")
    d.line((440, 240), (440, 214), role="wine")
    d.text(16, 358, "Training", weight=600, anchor="start")
    d.box(16, 372, 230, 72, "orange", "1. warm-up", "graph loss alone")
    d.box(262, 372, 482, 72, "blue", "2. joint", "next item + graph loss + Barlow Twins, weighted")
    d.line((246, 408), (260, 408))
    return d.svg()


def flow(dark: bool) -> str:
    """How it is built: each room knows only those before it."""
    d = Drawing(340, "From a raw file to a table: each step knows only the steps before it.", dark=dark)
    width, height, gap = 168, 72, 24
    rows = (
        (("grey", "raw file", "download or yours"), ("green", "interactions", "user, item, time"),
         ("green", "split", "train, queries"), ("green", "batches", "rows, graph edges")),
        (("blue", "ranking", "whole catalogue"), ("blue", "trained model", "safetensors"),
         ("orange", "one step", "weighted sum, Adam"), ("orange", "model losses", "by phase")),
        (("blue", "metrics", "per user, per run"), ("wine", "record.json", "one per run"),
         ("wine", "tables, figures", "from records alone"), ("wine", "report.html", "one page")),
    )  # fmt: skip
    for place, row in enumerate(rows):
        y = 20 + place * (height + 42)
        for column, (role, *lines) in enumerate(row):
            x = 8 + column * (width + gap)
            d.box(x, y, width, height, role, *lines)
            if column < 3:
                ends = (x + width, x + width + gap - 2) if place != 1 else (x + width + gap, x + width + 2)
                d.line((ends[0], y + height / 2), (ends[1], y + height / 2))
        if place < 2:
            x = 8 + width / 2 + (3 * (width + gap) if place == 0 else 0)
            d.line((x, y + height), (x, y + height + 40))
    return d.svg()


# One user a row: what is said of it, its times, and whether it is tested.
USERS = (
    ("A: trained and tested", (190, 262, 350, 430, 560, 640, 700), True),
    ("B: trained, not tested", (170, 240, 320, 470), False),
    ("C: out, second item after T", (450, 590, 660), False),
    ("D: out, all after T", (570, 625, 690), False),
)
CUT, VALIDATION, START, END = 510, 400, 8, 744


def protocol(dark: bool) -> str:
    """The split by time: who is trained on, who is tested, and what a query is."""
    title = "The protocol: rows up to the cut in time train; a training user whose last item lies after the cut is "
    title += "tested on that item, and everything before it is the history."
    d = Drawing(470, title, dark=dark)
    top, bottom = 64, 344
    for left, right, role in ((START, VALIDATION, "blue-fill"), (VALIDATION, CUT, "green-fill")):
        width = right - left
        fill = d.colour(role)
        d.parts.append(f'<rect x="{left}" y="{top}" width="{width}" height="{bottom - top}" fill="{fill}"/>')
    d.text((START + VALIDATION) / 2, 28, "train", "blue", weight=600)
    d.text((VALIDATION + CUT) / 2, 28, "validation", "green", weight=600)
    d.text((CUT + END) / 2, 28, "test", "wine", weight=600)
    d.text((START + CUT) / 2, 52, "80 % of all rows: the final model learns from them", "soft", size=14)
    d.line((CUT, 58), (CUT, bottom), role="wine", arrow=False, dashed=True)
    d.line((VALIDATION, top), (VALIDATION, bottom), role="green", arrow=False, dashed=True)
    for place, (words, times, tested) in enumerate(USERS):
        y = 116 + 66 * place
        inside = len([time for time in times if time <= CUT]) > 1
        d.text(16, y - 22, words, "ink" if inside else "soft", anchor="start", weight=600, size=15)
        d.line((START, y), (END, y), arrow=False)
        for time in times:
            if tested and time == times[-1]:
                d.target(time, y)
            elif not inside:
                d.dot(time, y, "line", filled=False)
            else:
                d.dot(time, y, "blue", filled=time <= CUT)
    d.line((START, bottom), (END, bottom), role="line")
    d.text(END, bottom + 22, "time", "soft", anchor="end", size=15)
    d.text(CUT, bottom + 22, "the cut T", "wine", weight=600, size=15)
    y = 396
    d.dot(24, y, "blue")
    d.text(40, y + 5, "learnt from, and history", anchor="start", size=15)
    d.dot(284, y, "blue", filled=False)
    d.text(300, y + 5, "history only: read, not learnt from", anchor="start", size=15)
    d.target(26, y + 36)
    d.text(44, y + 41, "target: the user's last item", anchor="start", size=15)
    d.dot(284, y + 36, "line", filled=False)
    d.text(300, y + 41, "not used: the user has too little before T", anchor="start", size=15)
    return d.svg()


PICTURES: dict[str, Callable[[bool], str]] = {"create": create, "flow": flow, "protocol": protocol}


def drawn() -> dict[str, str]:
    """Every file's name and its text."""
    return {
        f"{name}-{'dark' if dark else 'light'}.svg": draw(dark)
        for name, draw in PICTURES.items()
        for dark in (False, True)
    }


if __name__ == "__main__":
    for file, text in drawn().items():
        (HERE / file).write_text(text, encoding="utf-8")
