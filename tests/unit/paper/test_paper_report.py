"""The page of all results, its main claims and its costs, from made-up records."""

import json
import re

import pytest
from made_up import World

from createrec.paper.claims import judge
from createrec.paper.costs import both_sheet, costs
from createrec.paper.headline import SECTIONS, Headline, headlines
from createrec.paper.render import Sheet, Shown
from createrec.paper.report import epochs_on_gpu, gpu_sheet, grid, page, sources, table2_blocks, write_report


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> World:
    """A record of every run; no test here changes it."""
    return World(tmp_path_factory.mktemp("whole")).fill(lambda run: 0.01 + 0.002 * run.seed)


@pytest.fixture(scope="module")
def text(whole) -> str:
    return page(whole.results(), None)


def drop(world, *folders: str) -> None:
    for folder in folders:
        (world.records / folder / "record.json").unlink()


def test_the_page_needs_nothing_from_outside(text):
    assert not re.search(r"""(?:src|href|srcset)=["']?(?:https?:)?//""", text)
    assert not re.search(r"url\((?!%23)", text)  # inside a figure an address leads to a part of it
    assert "@import" not in text and "fetch(" not in text
    assert len(text.encode()) < 5_000_000


def test_the_same_records_give_the_same_bytes(whole, text):
    write_report(whole.results(), whole.out / "gpu.json", whole.out / "again.html")
    assert (whole.out / "again.html").read_text() == text


def test_every_claim_has_a_row_that_the_filters_know(whole, text):
    claims = judge(whole.results())
    rows = re.findall(r'<li data-verdict="([^"]+)" data-dataset="([^"]+)" data-section="([^"]+)">', text)
    assert [verdict for verdict, _, _ in rows] == [claim.verdict for claim in claims]
    assert {section for _, _, section in rows} == set(re.findall(r'<option value="([\d.]+)">', text))
    assert {dataset for _, dataset, _ in rows} == set(re.findall(r"<option>([^<]+)</option>", text))


def test_every_source_of_a_claim_has_its_section(world):
    assert {claim.source for claim in judge(world.results())} <= set(SECTIONS)


def test_every_address_inside_the_page_leads_somewhere(text):
    targets = set(re.findall(r' id="([^"]+)"', text))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= targets


def test_the_numbers_of_table2_stand_beside_the_papers(world):
    (beauty, _) = table2_blocks(world.results())
    rows = dict(beauty.rows)
    assert list(rows) == ["CREATE", "SASRec", "CREATE over SASRec", "Random"]
    assert (rows["CREATE"][0].ours, rows["CREATE"][0].paper, rows["CREATE"][0].best) == ("2.10 ± 0.14", "2.15", True)
    assert (rows["CREATE over SASRec"][0].ours, rows["CREATE over SASRec"][0].paper) == ("+24 %", "+15 %")


def test_the_best_is_the_largest_number_and_not_the_last_in_the_alphabet(world):
    for seed in (0, 1):
        path = world.records / f"amazon-beauty/create/table2/seed{seed}/record.json"
        record = json.loads(path.read_text())
        record["metrics"]["recall@100"] = 0.12
        path.write_text(json.dumps(record))
    rows = dict(next(table2_blocks(world.results())).rows)
    assert rows["CREATE"][4].ours == "12.00 ± 0.00" and rows["CREATE"][4].best
    assert rows["SASRec"][4].ours.startswith("8.50") and not rows["SASRec"][4].best


def test_each_record_is_described_and_can_be_made_again(whole, text):
    found = sources(whole.results())
    assert sum(len(source.records) for source in found) == len(whole.runs)
    for folder in whole.runs:
        assert f"snakemake results/runs/{folder}/record.json -c1" in text


def test_main_claims_follow_from_their_parts(world):
    found = {one.name: one for one in headlines(world.results(), judge(world.results()))}
    assert len(found) == 5
    gain = found["gain"]
    assert {part.statement for part in gain.parts} == {"CREATE gains over SASRec in NDCG@10"}
    assert gain.evidence[0] == "Amazon Beauty: +24 % (the paper: +15 %)"
    assert found["warm-up"].evidence[0].startswith("Amazon Beauty, 50 epochs against none: NDCG@10 +0.00 [")


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        (["reproduced", "not run"], "reproduced"),
        (["reproduced", "partly"], "partly"),
        (["reproduced", "not reproduced"], "partly"),
        (["partly", "undecided"], "partly"),
        (["partly", "undecided", "undecided"], "undecided"),
        (["undecided", "not reproduced"], "undecided"),
        (["partly", "not reproduced", "not reproduced"], "not reproduced"),
        (["not reproduced", "not run"], "not reproduced"),
        (["not run"], "not run"),
        ([], "not run"),
    ],
)
def test_the_verdict_on_a_main_claim(world, parts, whole):
    claim = judge(world.results())[0]
    made = tuple(type(claim)(**{**vars(claim), "verdict": verdict}) for verdict in parts)
    assert Headline("", "", (), made, (), "").verdict == whole


def test_what_was_not_run_is_said(empty_world):
    text = page(empty_world.results(), None)
    assert "Not at hand, so not run: Amazon Beauty, MovieLens-1M." in text
    assert "Nothing was measured on a GPU." in text


def test_costs_are_the_sums_of_the_records(world):
    for folder in world.runs:
        path = world.records / folder / "record.json"
        record = json.loads(path.read_text())
        gpu = "warmup-10" in folder
        record |= {"device": "cuda: H100" if gpu else "cpu: a core", "peak_memory_bytes": 2_000_000_000}
        record["seconds"] = {"train": 100.0, "evaluate": 20.0}
        path.write_text(json.dumps(record))
    drop(world, "amazon-beauty/create/warmup-0/seed1")
    (cost,) = [one for one in costs(world.results()) if (one.shown, one.dataset) == ("Figure 4", "amazon-beauty")]
    assert (cost.runs, cost.planned) == (5, 6)
    assert (cost.cpu_seconds, cost.gpu_seconds, cost.memory) == (360.0, 240.0, 2_000_000_000)


def test_a_run_made_on_both_stands_with_the_seconds_of_each(world):
    assert both_sheet(world.results()).rows == ()
    for folder in world.runs:
        path = world.records / folder / "record.json"
        gpu = folder.endswith("table2/seed1") and "/create/" in folder
        seconds = {"train": 5.0, "evaluate": 1.0} if gpu else {"train": 100.0, "evaluate": 20.0}
        device = "cuda: H100" if gpu else "cpu: a core"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"device": device, "seconds": seconds}))
    rows = both_sheet(world.results()).rows
    assert rows and all(keys[0].endswith("/create/table2`") for keys, _ in rows)
    assert {tuple(cell.text for cell in cells) for _, cells in rows} == {("120", "6", "20")}


def test_what_a_gpu_measured_is_shown(whole):
    found = {
        "device": "cuda: NVIDIA",
        "torch": "2.11",
        "capture": {
            "took_seconds": 90.7,
            "sasrec": {"eager": {"seconds": [1.9, 1.5]}, "captured": {"seconds": [0.3, 0.15]}},
            "mrgsrec": {"eager": {"seconds": [3.6]}, "captured": {"error": "a number copied from the host"}},
        },
        "floor": {"took_seconds": 12.5, "inside": {"rate": 1234567.0}},
        "note": {"not_measured": "eight"},
    }
    assert epochs_on_gpu(found) == {"sasrec": (1.5, 0.15), "mrgsrec": (3.6, None)}
    sheet = gpu_sheet(found)
    rows = {keys: [cell.text for cell in cells] for keys, cells in sheet.rows}
    assert rows["Seconds per epoch", "SASRec"] == ["1.50", "0.15", "10.0"]
    assert rows["Seconds per epoch", "MRGSRec"] == ["3.60", "–", "–"]
    assert rows["floor", "inside.rate"] == ["1,234,567", "", ""]
    assert sheet.notes == ("Not measured: eight.",)
    text = page(whole.results(), found)
    assert "Measured on cuda: NVIDIA, torch 2.11. An epoch" in text and "Nothing was measured" not in text


@pytest.mark.parametrize(
    ("keys", "groups"),
    [
        ([("A", "x", "1"), ("A", "x", "2"), ("B", "x", "1")], {"A, x": ["1", "2"], "B, x": ["1"]}),
        ([("A", "x", "1"), ("A", "y", "2"), ("B", "x", "1")], {"A": ["x, 1", "y, 2"], "B": ["x, 1"]}),
        ([("A",), ("B",)], {"": ["A", "B"]}),
    ],
)
def test_rows_are_grouped_by_all_keys_but_the_last_where_that_groups(keys, groups):
    rows = tuple((key, (Shown("0"),)) for key in keys)
    found = grid(Sheet("", "", "", (), ("a", "b", "c")[: len(keys[0])], ("n",), rows)).groups
    assert {heading: [key for key, _ in members] for heading, members in found} == groups
