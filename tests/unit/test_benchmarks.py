"""The benchmarks' arithmetic: operations of the floor, the clock, the choice of a peer, and what is printed.

No test here looks at a time or a rate of this machine.
"""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    """The scripts of `benchmarks/` import each other by their bare names."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture
def measure(scripts):
    import measure

    return measure


def test_operations_are_those_of_the_products_counted_one_by_one(measure):
    """A dense causal Transformer of two rows: every multiplication and addition, forward and twice backward."""
    lengths, items, d, blocks = [3, 1], 11, 4, 2
    counted = {"output": 0, "linear": 0, "attention": 0}
    for length in lengths:
        for position in range(length):
            counted["output"] += 3 * 2 * items * d
            for inner, outer in [(d, d)] * 4 + [(d, 2 * d), (2 * d, d)]:  # query, key, value, output, feed-forward
                counted["linear"] += blocks * 3 * 2 * inner * outer
            for _ in range(position + 1):
                counted["attention"] += blocks * 3 * 2 * (d + d)  # score, and weighted value
    found = measure.sequence_operations(torch.tensor(lengths), items, d, blocks, feedforward_factor=2)
    assert found == counted


def test_the_common_epoch_of_beauty_costs_what_was_measured(measure):
    """129,888 targets: 604 GFLOP in the output layer, 38 in the linear ones (recorded with the peers' figures)."""
    found = measure.sequence_operations(torch.ones(129_888), measure.SHAPES["beauty"].items, 64, 2)
    assert found["output"] / 1e9 == pytest.approx(604, abs=0.5)
    assert found["linear"] / 1e9 == pytest.approx(38.3, abs=0.1)


def test_share_of_the_floor(measure):
    """100 GFLOP at 50 GFLOP a second need 2 s; 8 s were taken."""
    assert measure.share_of_floor(100e9, 8.0, 50.0) == pytest.approx(0.25)


def test_the_clock_counts_no_warmup_and_nothing_before_a_restart(monkeypatch):
    import clock

    now = [0.0]
    monkeypatch.setattr(clock.time, "process_time", lambda: now[0])
    monkeypatch.setattr(clock.time, "perf_counter", lambda: 2 * now[0])
    watch = clock.Stopwatch(seconds=4.0, warmup=1)
    now[0] += 100.0
    assert not watch.lap(1000)  # the warm-up, however late it is
    now[0] += 3.0
    watch.restart()
    now[0] += 2.0
    watch.seconds = 200.0
    assert not watch.lap(10)
    watch.seconds = 4.0
    now[0] += 2.5
    assert watch.lap(20)
    found = watch.result()
    assert (found["rate"], found["rate_wall"], found["core_seconds"]) == (30 / 4.5, 30 / 9.0, 4.5)
    assert found["peak_memory_bytes"] > 1e6


def measurement(who, rate=None, *, quantity="sasrec", tuned=False, recorded=False, **more):
    found = {"who": who, "quantity": quantity, "shape": "beauty", "tuned": tuned, "recorded": recorded, **more}
    return found | ({"rate": rate} if rate else {"error": "it failed"})


def test_the_fastest_peer_of_this_run_stands_before_a_faster_recorded_one():
    import report

    found = [
        measurement("ours", 1000.0),
        measurement("A", 10.0),
        measurement("B", 20.0),
        measurement("C"),
        measurement("A", 50.0, tuned=True),
        measurement("D", 99.0, recorded=True),
        measurement("D", 5.0, quantity="ultragcn", recorded=True),
        measurement("ours", 500.0, quantity="ultragcn"),
    ]
    assert report.fastest(found, "sasrec", "beauty", tuned=False)["who"] == "B"
    assert report.fastest(found, "sasrec", "beauty", tuned=True)["who"] == "A"
    assert report.fastest(found, "lightgcn", "beauty", tuned=False) is None
    rows = report.table(found).splitlines()[2:]
    assert len(rows) == 2
    assert "| 50.0 | ≥ 15 |" in rows[0] and "| 20.0 | ≥ 8 |" in rows[0]
    assert "D (recorded) 5 | 100.0 | ≥ 30 |" in rows[1]
    assert "it failed" in report.everything(found)


def test_lines_of_the_large_catalogue():
    import report

    found = [
        measurement("ours", 100.0, quantity="full", peak_memory_bytes=1_500_000_000),
        measurement("ours", 1500.0, quantity="scalable", peak_memory_bytes=700_000_000),
    ]
    lines = "\n".join(report.large_catalogue(found, "beauty"))
    assert "1.50 GB" in lines and "0.70 GB" in lines and "15.0 times" in lines
    assert report.large_catalogue(found[:1], "beauty") == []


def test_the_last_line_of_the_quick_run_is_one_json_object(monkeypatch, capsys):
    import run

    answer = {
        "rate": 8000.0,
        "share_of_floor": 0.5,
        "gemm_gflops_per_core": 80.0,
        "floor": 16_000.0,
        "targets_per_epoch": 120_000.0,
        "peak_memory_bytes": 500_000_000,
        "machine": {"device": "cpu"},
    }
    monkeypatch.setattr(run, "run_one", lambda *arguments: answer)
    run.quick(threads=1)
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["share_of_floor"] == 0.5
    assert last["targets_per_core_second"] == 8000.0
    assert last["gemm_gflops_per_core"] == 80.0
    assert last["seconds"] == 15.0
    assert last["machine"] == {"device": "cpu"}


def test_a_measurement_that_fails_is_explained_and_noted(tmp_path, monkeypatch):
    import environments
    import run

    monkeypatch.setattr(run, "SCRATCH", tmp_path)
    broken = tmp_path / "broken.py"
    broken.write_text("import sys\nprint('not json')\nsys.exit('no such model')\n")
    with pytest.raises(environments.BenchmarkError, match=r"broken\.py: exit status 1, no such model"):
        run.run_one([sys.executable, broken], 1.0, 1, {})
    works = tmp_path / "works.py"
    works.write_text("import os\nprint('a line')\nprint('{\"rate\": %s}' % os.environ['OMP_NUM_THREADS'])\n")
    bench = run.Bench(1.0, threads=3)
    bench.add("A", "sasrec", "beauty", [sys.executable, broken])
    bench.add("B", "sasrec", "beauty", [sys.executable, works])
    assert "no such model" in bench.measurements[0]["error"]
    assert bench.measurements[1]["rate"] == 3


def test_recorded_figures_say_that_they_are():
    import run

    bench = run.Bench(1.0, threads=1)
    bench.recorded()
    assert all(one["recorded"] and one["rate"] > 0 for one in bench.measurements)
    assert {one["quantity"] for one in bench.measurements} >= {"lightgcn", "ultragcn"}


def test_the_script_for_a_gpu_writes_each_step_at_once_and_goes_on_after_a_failure(tmp_path):
    """On a CPU, with small made data: one step that works, and one that has no time left."""
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", "--device", "cpu", "--small", "--seconds", "200"]
    command += ["--output", tmp_path, "--steps", "yambda"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert report["device"].startswith("cpu: ")
    assert report["yambda"]["full"]["targets_per_second"] > 0
    late = subprocess.run([*command[:-1], "floor", "--seconds", "1"], cwd=ROOT, timeout=280, check=False)
    assert late.returncode == 0
    assert json.loads((tmp_path / "gpu.json").read_text())["floor"] == {"skipped": "no time left"}


@pytest.mark.parametrize("script", sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py")))
def test_every_script_finds_what_it_imports(script):
    importlib.import_module(script)
