"""The figures from made-up records: what is drawn, what is said, and that the bytes repeat."""

import csv
import json
import math

import matplotlib
import pytest
from made_up import settings
from matplotlib.figure import Figure
from PIL import Image

from createrec.config import validate
from createrec.errors import ConfigError
from createrec.exhibits import BY_NAME, of_kind
from createrec.paper.figures import draw, gains, panel_of, read_curves, write_figure
from createrec.paper.style import COLUMN_WIDTH, PAPER, house_style, title, to_svg

FIGURES = [exhibit.name for exhibit in of_kind("figure")]
BLUE, ORANGE = "#0072B2", "#D55E00"


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def drawing(world, name: str):
    with house_style():
        return draw(world.results(), name)


def markers(axes) -> dict[float, tuple[float, bool]]:
    """CREATE's points: value -> (height, hollow)."""
    found = {}
    for line in axes.lines:
        if line.get_color() == BLUE and line.get_marker() == "o":
            hollow = line.get_markerfacecolor() == "white"
            found |= {x: (y, hollow) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}
    return found


def bars(axes) -> dict[float, tuple[float, float]]:
    """CREATE's error bars: value -> (low, high)."""
    found = {}
    for container in axes.containers:
        for lines in container[2]:
            found |= {segment[0, 0]: (segment[0, 1], segment[1, 1]) for segment in lines.get_segments()}
    return found


def drop(world, *folders: str) -> None:
    for folder in folders:
        (world.records / folder / "record.json").unlink()


def test_a_sweep_draws_mean_and_deviation(world):
    axes = drawing(world, "4").figure.axes[0]
    assert markers(axes) == {value: (pytest.approx(2.1), False) for value in (0, 10, 50)}
    spread = 0.02**0.5  # std of 2.0 and 2.2
    assert bars(axes) == {value: pytest.approx((2.1 - spread, 2.1 + spread)) for value in (0, 10, 50)}
    assert {"NDCG@10, %", "Warm-up, epochs", "CREATE, mean ± std"} <= set(texts(axes.figure))
    assert "CREATE, one seed" not in texts(axes.figure)


def test_a_point_of_one_seed_is_hollow_and_has_neither_bar_nor_band(world):
    drop(world, "amazon-beauty/create/warmup-10/seed1")
    found = drawing(world, "4")
    axes = found.figure.axes[0]
    assert markers(axes)[10] == (pytest.approx(2.0), True)
    assert sorted(bars(axes)) == [0, 50]
    assert [row[3:7] for row in found.rows if row[:3] == ["amazon-beauty", "create", "10"]] == [[2.0, None, 1, 2]]
    assert "CREATE, one seed" in texts(found.figure)


def test_sasrec_is_a_line_with_its_band(world):
    axes = drawing(world, "5").figure.axes[0]
    (line,) = [line for line in axes.lines if line.get_color() == ORANGE]
    assert line.get_ydata() == pytest.approx([1.7, 1.7])  # mean of 1.6 and 1.8
    (band,) = axes.patches
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((1.7 - 0.02**0.5, 1.7 + 0.02**0.5))


def test_sasrec_has_no_band_where_it_has_one_seed(world):
    drop(world, "amazon-beauty/sasrec/table2/seed1")
    assert not drawing(world, "5").figure.axes[0].patches


def test_the_papers_points_stand_on_an_axis_of_their_own(world):
    """Ours has 2.1 where the paper's Table 2 has 2.15, so its 2.15 of Figure 5 stands at 2.1 and its SASRec below."""
    found = drawing(world, "5")
    axes = found.figure.axes[0]
    theirs = [line for line in axes.lines if line.get_color() == PAPER]
    level, curve = sorted(theirs, key=lambda line: line.get_ydata()[0])
    assert curve.get_ydata() == pytest.approx([2.1, 2.1]) and list(curve.get_xdata()) == [0.1, 1]
    assert level.get_ydata() == pytest.approx([1.87 * 2.1 / 2.15] * 2)
    assert "the paper, %" in texts(found.figure)
    assert any("Amazon Beauty 2.15 at 2.10" in note for note in found.notes)


def test_the_csv_holds_the_papers_values_in_a_column_of_their_own(world):
    for name, place, value in (("5", "0.1", 2.15), ("4", "50", None)):
        found = drawing(world, name)
        column = found.header.index("paper_percent")
        (row,) = [row for row in found.rows if row[:3] == ["amazon-beauty", "create", place]]
        assert row[column] == value
        assert row[column + 1] == ("" if value else "best")
        (sasrec,) = [row for row in found.rows if row[:2] == ["amazon-beauty", "sasrec"]]
        assert (sasrec[column], sasrec[column + 1]) == (1.87, "Table 2")


def test_a_best_value_without_a_level_is_marked_and_said(world):
    found = drawing(world, "4")
    theirs = [line for line in found.figure.axes[0].lines if line.get_color() == PAPER and line.get_marker() == "D"]
    assert [list(line.get_xdata()) for line in theirs] == [[50]]
    assert any("names the best value of its Figure 4 and no level" in note for note in found.notes)


def test_what_the_paper_says_of_a_stretch(world):
    assert panel_of(world.results(), BY_NAME["figure3"], "ml-1m").says == {
        60: "better than up to 40",
        100: "better than up to 40",
    }


def test_the_data_label_stands_in_the_plot(world):
    for name in FIGURES:
        assert any("31 % of timestamps interpolated" in text for text in texts(drawing(world, name).figure)), name


def test_a_missing_point_leaves_its_gap_and_is_named(world):
    drop(world, *(f"amazon-beauty/create/warmup-10/seed{seed}" for seed in (0, 1)))
    found = drawing(world, "4")
    assert sorted(markers(found.figure.axes[0])) == [0, 50]
    (line,) = [line for line in found.figure.axes[0].lines if line.get_color() == BLUE and line.get_marker() == "None"]
    assert list(line.get_xdata()) == [0, 10, 50] and math.isnan(line.get_ydata()[1])
    assert "not run: 10" in texts(found.figure)
    assert [row[2:] for row in found.rows if row[:3] == ["amazon-beauty", "create", "10"]] == [
        ["10", None, None, 0, 2, None, "", "not run", ""]
    ]


def test_no_panel_is_empty(world):
    drop(world, *(f"ml-1m/create/warmup-{value}/seed{seed}" for value in (0, 10) for seed in (0, 1)))
    found = drawing(world, "4")
    assert len(found.figure.axes) == 1
    assert "No panel for MovieLens-1M: only 50 was run." in found.notes
    (world.records / "ml-1m/create/figure2/seed0/record.json").unlink()
    found = drawing(world, "2")
    assert len(found.figure.axes) == 2
    assert "No panel for MovieLens-1M: not run." in found.notes


@pytest.mark.parametrize("name", FIGURES)
def test_without_records_a_figure_says_so(empty_world, name):
    found = drawing(empty_world, name)
    assert "not run" in texts(found.figure)
    assert any("not run (data not at hand)" in note for note in found.notes)


def test_gains_of_table2_stand_beside_the_papers(world):
    (row,) = [
        row
        for row in gains(world.results(), BY_NAME["gains"])
        if (row.dataset, row.metric) == ("amazon-beauty", "ndcg@10")
    ]
    assert row.ours == pytest.approx(2.1 / 1.7 - 1)
    # Welch on (2.0, 2.2) and (1.6, 1.8): standard error 0.1 * sqrt(2), two degrees of freedom, t = 4.3027.
    half = 4.302653 * 0.1 * 2**0.5 / 1.7
    assert row.interval == pytest.approx((row.ours - half, row.ours + half), rel=1e-5)
    assert row.paper == pytest.approx(2.15 / 1.87 - 1)


def test_a_gain_of_one_seed_is_hollow_and_has_no_interval(world):
    drop(world, "amazon-beauty/create/table2/seed1")
    found = drawing(world, "gains")
    beauty, movies = found.figure.axes
    assert all(hollow for _, hollow in markers(beauty).values()) and not any(h for _, h in markers(movies).values())
    assert not any(bars(beauty)) and bars(movies)
    assert [row[3:5] for row in found.rows if row[0] == "amazon-beauty"] == [[None, None]] * 6


def test_curves_count_epochs_over_both_phases():
    history = [
        {"epoch": 0, "phase": "warmup", "losses": {"global": 9.0}, "validation": None},
        {"epoch": 0, "phase": "joint", "losses": {"local": 8.0, "global": 6.0}, "validation": {"ndcg@10": 0.01}},
        {"epoch": 1, "phase": "joint", "losses": {"local": 7.0, "global": 5.0}, "validation": {"ndcg@10": 0.02}},
    ]
    curves = read_curves(history)
    assert curves.losses == {"global": ([1, 2, 3], [9.0, 6.0, 5.0]), "local": ([2, 3], [8.0, 7.0])}
    assert curves.validation == ([2, 3], [1.0, 2.0])
    assert curves.warmup == 1


def test_figure2_marks_the_warm_up_and_names_each_term(world):
    figure = drawing(world, "2").figure
    boundary = figure.axes[0].lines[-1]
    assert boundary.get_xdata() == [1.5, 1.5]  # between the one warm-up epoch and the first joint one
    shown = texts(figure)
    assert {"warm-up ends", "global (graph)", "local (sequence)", "alignment (Barlow Twins)"} <= {
        text.strip() for text in shown
    }
    drawn = {line.get_label(): (len(line.get_xdata()), line.get_marker()) for line in figure.axes[0].lines}
    assert drawn["global (graph)"] == (2, "None")
    assert drawn["local (sequence)"] == (1, "o")  # a line of one point would be nothing
    (level,) = [line for line in figure.axes[2].lines if line.get_color() == PAPER]
    assert list(level.get_ydata()) == [1.8, 1.8]  # at the end of the paper's own curve
    assert {"Epoch", "Training loss", "Validation NDCG@10, %"} <= set(shown)


def test_figure2_draws_a_term_alike_in_every_panel(world):
    """One panel begins with the graph's term, because it has a warm-up, and the other with the sequence's."""
    path = world.records / "ml-1m/create/figure2/seed0/record.json"
    record = json.loads(path.read_text())
    record["history"] = record["history"][1:]
    assert next(iter(record["history"][0]["losses"])) == "local"
    path.write_text(json.dumps(record))
    figure = drawing(world, "2").figure
    first, second = (
        {line.get_label(): (line.get_color(), line.get_linestyle()) for line in axes.lines} for axes in figure.axes[:2]
    )
    shared = ["global (graph)", "local (sequence)", "alignment (Barlow Twins)"]
    assert [first[name] for name in shared] == [second[name] for name in shared]
    assert len({first[name] for name in shared}) == 3


def test_figure2_csv_holds_what_is_drawn(world):
    write_figure(world.results(), "2", world.out / "figure2")
    with (world.out / "figure2.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == "amazon-beauty"]
    assert [(row["epoch"], row["phase"], row["series"], float(row["value"])) for row in rows] == [
        ("1", "warmup", "loss global", 90.0),
        ("2", "joint", "loss global", 60.0),
        ("2", "joint", "loss local", 8.0),
        ("2", "joint", "loss barlow", 0.5),
        ("2", "joint", "ndcg@10 %", 1.5),
    ]


def test_a_run_without_validation_says_so(world):
    path = world.records / "amazon-beauty/create/figure2/seed0/record.json"
    record = json.loads(path.read_text())
    record["history"][1]["validation"] = None
    path.write_text(json.dumps(record))
    figure = drawing(world, "2").figure
    assert "no validation in this run" in texts(figure)


@pytest.mark.parametrize("number", FIGURES)
def test_an_overlay_may_leave_a_figure_out(world, number):
    nothing = settings()
    nothing["figure2"]["datasets"] = []
    nothing["table2"]["datasets"] = []
    for sweep_name in ("graph_size", "warmup", "barlow_weight"):
        nothing["ablations"][sweep_name]["datasets"] = []
    world.config = validate(nothing)
    write_figure(world.results(), number, world.out / "figure")
    assert (world.out / "figure.csv").read_text().count("\n") == 1
    assert (world.out / "figure.png").stat().st_size > 0


@pytest.mark.parametrize("number", FIGURES)
def test_the_same_records_give_the_same_bytes(world, number):
    for name in ("first", "second"):
        write_figure(world.results(), number, world.out / name)
    for suffix in (".pdf", ".png", ".csv"):
        assert (world.out / f"first{suffix}").read_bytes() == (world.out / f"second{suffix}").read_bytes()
    assert b"CreationDate" not in (world.out / "first.pdf").read_bytes()


def test_the_style_of_the_user_does_not_matter(world):
    write_figure(world.results(), "4", world.out / "first")
    with matplotlib.rc_context({"lines.linewidth": 9, "axes.facecolor": "black"}):
        write_figure(world.results(), "4", world.out / "second")
    assert (world.out / "first.png").read_bytes() == (world.out / "second.png").read_bytes()


def test_figures_are_sized_for_print(world):
    write_figure(world.results(), "3", world.out / "figure3")
    with Image.open(world.out / "figure3.png") as image:
        assert image.width / image.info["dpi"][0] == pytest.approx(3.35, abs=0.02)


def test_a_figure_that_is_not_made_from_records(world):
    with pytest.raises(ConfigError, match="figure '1': unknown; known: figure2, figure3, figure4, figure5, gains"):
        write_figure(world.results(), "1", world.out / "figure1")


def test_a_long_note_does_not_squeeze_its_panel():
    widths = []
    for note in ("1 seed", "mean over 3 seeds; not run: " + ", ".join(str(10 * value) for value in range(30))):
        with house_style():
            figure = Figure(figsize=(COLUMN_WIDTH, 2))
            axes = figure.subplots()
            title(axes, "Amazon Beauty", [note])
            figure.draw_without_rendering()
        widths.append(axes.get_position().width)
    assert widths[1] > 0.9 * widths[0]


def test_a_dark_page_gets_other_colours_and_the_same_lines(world):
    with house_style():
        figure = draw(world.results(), "4").figure
        light, dark, again = to_svg(figure), to_svg(figure, dark=True), to_svg(figure)
    assert light == again and "Date" not in light
    assert "#0072b2" in light and "#0072b2" not in dark.replace("#56b4e9", "")
    assert light.count("<path") == dark.count("<path")
