"""The expected best of n trials: by enumeration, and what the figure of the published studies reads."""

import csv
import itertools
import statistics

import pytest

from createrec.errors import DataError
from createrec.paper.searches import expected_best, write_searches

HEAD = "number,state,reason,value\n"


def test_expected_best_is_the_mean_over_all_draws():
    values = [0.3, 0.1, 0.4, 0.1]
    for n, found in enumerate(expected_best(values), 1):
        draws = [max(draw) for draw in itertools.product(values, repeat=n)]
        assert found == pytest.approx(statistics.mean(draws), rel=1e-12)


def test_one_curve_per_dataset_and_model(tmp_path):
    for model, rows in {
        "sasrec": "0,complete,,0.2\n1,pruned,slow,0.1\n2,failed,memory,\n",
        "create": "0,complete,,0.3\n",
        "ultragcn": "0,complete,,0.9\n",
    }.items():
        folder = tmp_path / "mine" / model
        folder.mkdir(parents=True)
        (folder / "trials.csv").write_text(HEAD + rows)
    write_searches(tmp_path, tmp_path / "searches")
    with (tmp_path / "searches.csv").open(newline="") as file:
        rows = {(row["model"], int(row["trials"])): float(row["expected"]) for row in csv.DictReader(file)}
    assert rows == {("create", 1): 0.3, ("sasrec", 1): pytest.approx(0.15), ("sasrec", 2): pytest.approx(0.175)}
    assert (tmp_path / "searches.png").read_bytes().startswith(b"\x89PNG")


def test_a_damaged_table_and_an_empty_folder_are_named(tmp_path):
    with pytest.raises(DataError, match=r"createrec tune"):
        write_searches(tmp_path, tmp_path / "searches")
    (tmp_path / "mine" / "sasrec").mkdir(parents=True)
    (tmp_path / "mine" / "sasrec" / "trials.csv").write_text(HEAD + "0,complete,,much\n")
    with pytest.raises(DataError, match=r"trials.csv.*expected a number"):
        write_searches(tmp_path, tmp_path / "searches")
