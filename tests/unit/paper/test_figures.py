"""Figures 2-5 from made-up records: what is drawn, what is said, and that the bytes repeat."""

import csv
import json

import matplotlib
import pytest
from made_up import settings
from matplotlib.figure import Figure
from PIL import Image

from createrec.config import validate
from createrec.errors import ConfigError
from createrec.paper.figures import figure2, read_curves, sweep_figure, write_figure
from createrec.paper.style import COLUMN_WIDTH, house_style, title
from createrec.paper.sweeps import SWEEPS

NUMBERS = (2, 3, 4, 5)


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def sweep(world, number: int):
    with house_style():
        return sweep_figure(world.results(), SWEEPS[number])


def test_a_sweep_draws_mean_and_deviation(world):
    figure, _ = sweep(world, 4)
    line = figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [0, 10, 50]
    assert line.get_ydata() == pytest.approx([2.1, 2.1, 2.1])
    band = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((2.1 - 0.02**0.5, 2.1 + 0.02**0.5))  # std of 2.0 and 2.2
    assert "mean ± std over 2 seeds" in texts(figure)
    assert {"NDCG@10, %", "Warm-up, epochs"} <= set(texts(figure))


def test_lines_are_told_apart_without_colour(world):
    figure, _ = sweep(world, 3)
    assert len({(axes.lines[0].get_marker(), axes.lines[0].get_linestyle()) for axes in figure.axes}) == 2


def test_the_data_label_stands_in_the_plot(world):
    for number in (3, 4, 5):
        assert any("ML-1M, 31 % of timestamps interpolated" in text for text in texts(sweep(world, number)[0]))
    with house_style():
        figure, _ = figure2(world.results())
    assert any("ML-1M, 31 % of timestamps interpolated" in text for text in texts(figure))


def test_a_missing_point_leaves_its_gap_and_is_named(world):
    for seed in (0, 1):
        (world.records / f"amazon-beauty/create/warmup-10/seed{seed}/record.json").unlink()
    figure, rows = sweep(world, 4)
    assert figure.axes[0].lines[0].get_xdata().tolist() == [0, 50]
    assert "mean ± std over 2 seeds; not run: 10" in texts(figure)
    assert [row[1:] for row in rows if row[0] == "amazon-beauty" and row[1] == "10"] == [
        ["10", None, None, 0, 2, "not run", ""]
    ]


def test_without_records_a_panel_says_why(empty_world):
    assert texts(sweep(empty_world, 5)[0]).count("not run (data not at hand)") == 2
    with house_style():
        figure, _ = figure2(empty_world.results())
    assert texts(figure).count("not run (data not at hand)") == 4


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
    with house_style():
        figure, _ = figure2(world.results())
    boundary = figure.axes[0].lines[-1]
    assert boundary.get_xdata() == [1.5, 1.5]  # between the one warm-up epoch and the first joint one
    shown = texts(figure)
    assert {"warm-up ends", "global (graph)", "local (sequence)", "alignment (Barlow Twins)"} <= {
        text.strip() for text in shown
    }
    assert {"Epoch", "Training loss", "Validation NDCG@10, %"} <= set(shown)


def test_figure2_csv_holds_what_is_drawn(world):
    write_figure(world.results(), 2, world.out / "figure2")
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
    with house_style():
        figure, _ = figure2(world.results())
    assert "no validation in this run" in texts(figure)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_overlay_may_leave_a_figure_out(world, number):
    nothing = settings()
    nothing["figure2"]["datasets"] = []
    for sweep_name in ("graph_size", "warmup", "barlow_weight"):
        nothing["ablations"][sweep_name]["datasets"] = []
    world.config = validate(nothing)
    write_figure(world.results(), number, world.out / "figure")
    assert (world.out / "figure.csv").read_text().count("\n") == 1
    assert (world.out / "figure.png").stat().st_size > 0


@pytest.mark.parametrize("number", NUMBERS)
def test_the_same_records_give_the_same_bytes(world, number):
    for name in ("first", "second"):
        write_figure(world.results(), number, world.out / name)
    for suffix in (".pdf", ".png", ".csv"):
        assert (world.out / f"first{suffix}").read_bytes() == (world.out / f"second{suffix}").read_bytes()
    assert b"CreationDate" not in (world.out / "first.pdf").read_bytes()


def test_the_style_of_the_user_does_not_matter(world):
    write_figure(world.results(), 4, world.out / "first")
    with matplotlib.rc_context({"lines.linewidth": 9, "axes.facecolor": "black"}):
        write_figure(world.results(), 4, world.out / "second")
    assert (world.out / "first.png").read_bytes() == (world.out / "second.png").read_bytes()


def test_figures_are_sized_for_print(world):
    write_figure(world.results(), 3, world.out / "figure3")
    with Image.open(world.out / "figure3.png") as image:
        assert image.width / image.info["dpi"][0] == pytest.approx(3.35, abs=0.02)


def test_a_figure_that_is_not_made_from_records(world):
    with pytest.raises(ConfigError, match="figure 1: Figures 2 to 5"):
        write_figure(world.results(), 1, world.out / "figure1")


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
