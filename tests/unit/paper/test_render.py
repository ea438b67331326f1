"""Markdown, LaTeX, HTML and CSV of a sheet, worked out by hand."""

from createrec.paper.render import (
    Page,
    Sheet,
    Shown,
    latex_escape,
    page_to_html,
    page_to_markdown,
    to_html,
    to_latex,
    to_markdown,
    write_csv,
)

SHEET = Sheet(
    name="table9",
    title="Table 9",
    caption="Numbers in %.",
    notes=("31 % made up.",),
    index=("Dataset", "Metric"),
    columns=("A & B", "C"),
    rows=(
        (("One", "x"), (Shown("1.00 ± 0.10", "best"), Shown("0.50", "second"))),
        (("One", "y"), (Shown("not run †"), Shown("−1 %"))),
        (("Two", "y"), (Shown("2.00"), Shown("3.00"))),
    ),
)


def test_markdown():
    assert to_markdown(SHEET) == (
        "**Table 9.** Numbers in %.\n"
        "\n"
        "| Dataset | Metric | A & B | C |\n"
        "| --- | --- | ---: | ---: |\n"
        "| One | x | **1.00 ± 0.10** | <ins>0.50</ins> |\n"
        "|  | y | not run † | −1 % |\n"
        "| Two | y | 2.00 | 3.00 |\n"
        "\n"
        "- 31 % made up.\n"
    )


def test_latex():
    assert to_latex(SHEET) == (
        "% \\usepackage{booktabs,graphicx}\n"
        "\\begin{table*}\n"
        "\\centering\n"
        "\\caption{Numbers in \\%. 31 \\% made up.}\n"
        "\\label{table9}\n"
        "\\resizebox{\\ifdim\\width>\\textwidth\\textwidth\\else\\width\\fi}{!}{%\n"
        "\\begin{tabular}{llrr}\n"
        "\\toprule\n"
        "Dataset & Metric & A \\& B & C \\\\\n"
        "\\midrule\n"
        "One & x & \\textbf{1.00 $\\pm$ 0.10} & \\underline{0.50} \\\\\n"
        " & y & not run $^\\dagger$ & $-$1 \\% \\\\\n"
        "\\midrule\n"
        "Two & y & 2.00 & 3.00 \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "}\n"
        "\\end{table*}\n"
    )


def test_latex_escapes_each_special_character_once():
    assert latex_escape(r"a_b\c{d}") == r"a\_b\textbackslash{}c\{d\}"


def test_html_stands_alone_and_escapes():
    text = to_html(SHEET)
    assert "<strong>1.00 ± 0.10</strong>" in text
    assert "<u>0.50</u>" in text
    assert "A &amp; B" in text
    assert "<li>31 % made up.</li>" in text
    assert not any(outside in text for outside in ("http", "src=", "<link", "<script"))


def test_a_page_names_its_parts():
    page = Page("All of it", ("A word before.",), (("First", SHEET),))
    markdown = page_to_markdown(page)
    assert markdown.startswith("# All of it\n\nA word before.\n\n## First\n\n**Table 9.**")
    assert "<h2>First</h2>" in page_to_html(page)


def test_csv_keeps_every_digit_and_leaves_none_empty(tmp_path):
    write_csv(tmp_path / "a.csv", ["x", "y"], [[0.1 + 0.2, None], ["a,b", 3]])
    assert (tmp_path / "a.csv").read_bytes() == b'x,y\n0.30000000000000004,\n"a,b",3\n'
