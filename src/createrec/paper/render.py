"""Sheets as Markdown, LaTeX and HTML, and rows as CSV: the one place that knows these formats."""

import csv
import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from createrec.files import atomic_path

Mark = Literal["", "best", "second"]


@dataclass(frozen=True)
class Shown:
    """One cell as it is printed."""

    text: str
    mark: Mark = ""


@dataclass(frozen=True)
class Sheet:
    """A table as it is printed.

    Attributes:
        name: file-like name, also the LaTeX label (`table2`).
        title: how it is cited (`Table 2`); "" where a heading above says it.
        caption: what it shows.
        notes: what a reader must know to read the cells.
        index: headings of the row keys; empty = rows have no keys.
        columns: headings of the cells.
        rows: (row keys, cells).
        prose: the cells hold sentences, not numbers: they are set flush left.
    """

    name: str
    title: str
    caption: str
    notes: tuple[str, ...]
    index: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[Shown, ...]], ...]
    prose: bool = False


def write_text(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes rows with full precision; None becomes an empty field."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _sparse_keys(sheet: Sheet) -> list[tuple[str, ...]]:
    """Row keys, left out where they repeat the row above."""
    found: list[tuple[str, ...]] = []
    above: tuple[str, ...] = ()
    for keys, _ in sheet.rows:
        same = 0
        while same < len(keys) - 1 and keys[: same + 1] == above[: same + 1]:
            same += 1
        found.append(("",) * same + keys[same:])
        above = keys
    return found


# --- Markdown -----------------------------------------------------------------------------------------------------

_MARKDOWN_MARKS = {"": "{}", "best": "**{}**", "second": "<ins>{}</ins>"}


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def to_markdown(sheet: Sheet) -> str:
    """A caption, a pipe table, and the notes; best is bold, second best underlined."""
    lines = [f"**{sheet.title}.** {sheet.caption}" if sheet.title else sheet.caption, ""]
    lines += [_markdown_row(sheet.index + sheet.columns)]
    lines += [_markdown_row(["---"] * len(sheet.index) + ["---" if sheet.prose else "---:"] * len(sheet.columns))]
    for keys, (_, cells) in zip(_sparse_keys(sheet), sheet.rows, strict=True):
        lines.append(_markdown_row([*keys, *(_MARKDOWN_MARKS[cell.mark].format(cell.text) for cell in cells)]))
    return "\n".join([*lines, "", *(f"- {note}" for note in sheet.notes)]).rstrip("\n") + "\n"


# --- LaTeX --------------------------------------------------------------------------------------------------------

_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "±": r"$\pm$",
    "†": r"$^\dagger$",
    "−": "$-$",
    "–": "--",
    "→": r"$\rightarrow$",
    ">": "$>$",
    "<": "$<$",
}
_LATEX_MARKS = {"": "", "best": "textbf:--rwrap;", "second": "underline:--rwrap;"}


def latex_escape(text: str) -> str:
    return re.sub("|".join(map(re.escape, _LATEX_SPECIAL)), lambda match: _LATEX_SPECIAL[match[0]], text)


def to_latex(sheet: Sheet) -> str:
    """A floating table over the page's width; needs booktabs and graphicx."""
    import pandas

    keys = _sparse_keys(sheet)
    headings = list(map(latex_escape, sheet.index + sheet.columns))
    texts = [[*key, *(cell.text for cell in cells)] for key, (_, cells) in zip(keys, sheet.rows, strict=True)]
    marks = [[*("" for _ in key), *(_LATEX_MARKS[cell.mark] for cell in cells)] for key, cells in sheet.rows]
    frame = pandas.DataFrame([list(map(latex_escape, row)) for row in texts], columns=headings)
    styler = frame.style.hide(axis="index").apply(lambda _: pandas.DataFrame(marks, columns=headings), axis=None)
    column_format = "l" * len(sheet.index) + "r" * len(sheet.columns)
    lines = styler.to_latex(column_format=column_format, hrules=True).rstrip().splitlines()
    body = lines.index("\\midrule") + 1
    if any(not key[0] for key in keys if key):  # rows come in groups: a line between them
        starts = [row for row, key in enumerate(keys) if row and key[0]]
        for row in reversed(starts):
            lines.insert(body + row, "\\midrule")
    tabular = "\n".join(lines)
    caption = latex_escape(" ".join([sheet.caption, *sheet.notes]))
    return (
        "% \\usepackage{booktabs,graphicx}\n"
        "\\begin{table*}\n\\centering\n"
        f"\\caption{{{caption}}}\n\\label{{{sheet.name}}}\n"
        f"\\resizebox{{\\ifdim\\width>\\textwidth\\textwidth\\else\\width\\fi}}{{!}}{{%\n{tabular}\n}}\n"
        "\\end{table*}\n"
    )


# --- HTML ---------------------------------------------------------------------------------------------------------

_HTML_MARKS = {"": "{}", "best": "<strong>{}</strong>", "second": "<u>{}</u>"}
_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;color:#1a1a1a;background:#fff;margin:1.5em;max-width:110em}"
    "h1{font-size:1.4em}h2{font-size:1.15em;margin-top:2em}"
    "figure{margin:0 0 2em;overflow-x:auto}figcaption{margin-bottom:.6em;max-width:60em}"
    "table{border-collapse:collapse;border-top:2px solid;border-bottom:2px solid}"
    "thead{border-bottom:1px solid}th,td{padding:.25em .7em;text-align:left;vertical-align:top}"
    "td.n,th.n{text-align:right;white-space:nowrap}td.w{min-width:14em}"
    "tr.first{border-top:1px solid #999}ul{padding-left:1.2em;max-width:60em;font-size:.93em}"
)
_SENTENCE = 30  # characters from which a cell of prose needs a width to wrap at


def _html_cell(cell: Shown, prose: bool) -> str:
    text = _HTML_MARKS[cell.mark].format(html.escape(cell.text, quote=False))
    kind = "" if prose and len(cell.text) < _SENTENCE else ' class="w"' if prose else ' class="n"'
    return f"<td{kind}>{text}</td>"


def _html_sheet(sheet: Sheet) -> str:
    title = f"<strong>{html.escape(sheet.title)}.</strong> " if sheet.title else ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in sheet.index)
    kind = "" if sheet.prose else ' class="n"'
    head += "".join(f"<th{kind}>{html.escape(name)}</th>" for name in sheet.columns)
    lines = [
        "<figure>",
        f"<figcaption>{title}{html.escape(sheet.caption, quote=False)}</figcaption>",
        f"<table><thead><tr>{head}</tr></thead><tbody>",
    ]
    for keys, (_, cells) in zip(_sparse_keys(sheet), sheet.rows, strict=True):
        named = "".join(f"<th>{html.escape(key)}</th>" if key else "<td></td>" for key in keys)
        starts = ' class="first"' if keys and keys[0] else ""
        lines.append(f"<tr{starts}>{named}{''.join(_html_cell(cell, sheet.prose) for cell in cells)}</tr>")
    lines.append("</tbody></table>")
    if sheet.notes:
        lines.append("<ul>" + "".join(f"<li>{html.escape(note, quote=False)}</li>" for note in sheet.notes) + "</ul>")
    return "\n".join([*lines, "</figure>"])


# --- pages of several sheets --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """A heading, paragraphs, and sheets, each under a heading of its own ("" = none)."""

    title: str
    paragraphs: tuple[str, ...]
    parts: tuple[tuple[str, Sheet], ...]


def page_to_markdown(page: Page) -> str:
    blocks = [f"# {page.title}\n", *(f"{paragraph}\n" for paragraph in page.paragraphs)]
    for heading, sheet in page.parts:
        blocks += [f"## {heading}\n"] if heading else []
        blocks.append(to_markdown(sheet))
    return "\n".join(blocks)


def page_to_html(page: Page) -> str:
    """One file that needs nothing from outside."""
    body = [f"<h1>{html.escape(page.title)}</h1>", *(f"<p>{html.escape(text)}</p>" for text in page.paragraphs)]
    for heading, sheet in page.parts:
        body += [f"<h2>{html.escape(heading)}</h2>"] if heading else []
        body.append(_html_sheet(sheet))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{html.escape(page.title)}</title>\n'
        f"<style>{_STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def write_page(page: Page, stem: Path) -> None:
    """Writes `<stem>.md` and `<stem>.html`."""
    write_text(Path(f"{stem}.md"), page_to_markdown(page))
    write_text(Path(f"{stem}.html"), page_to_html(page))


def to_html(sheet: Sheet) -> str:
    """One sheet as a file of its own."""
    return page_to_html(Page(sheet.title, (), (("", sheet),)))
