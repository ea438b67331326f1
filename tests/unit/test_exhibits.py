"""The catalogue of exhibits: every entry can be planned and rendered, and an overlay shows the ablations it names."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from createrec.config import load, merge, read_yaml, validate
from createrec.errors import ConfigError
from createrec.exhibits import BY_NAME, EXHIBITS, GROUPS, SWEPT, ablation, find, function, of_kind, wanted
from createrec.plan import plan

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config.yaml"


def test_names_and_groups_are_given_once() -> None:
    assert len(BY_NAME) == len(EXHIBITS)
    assert len(GROUPS) == sum(bool(exhibit.cells) for exhibit in EXHIBITS)


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)
def test_what_an_entry_names_exists(exhibit) -> None:
    assert callable(function(exhibit.render))
    assert (ROOT / "src" / "createrec" / exhibit.source).is_file()
    assert exhibit.group in {"", *GROUPS}
    if exhibit.cells:
        assert callable(function(exhibit.cells))
    if exhibit.wants:
        assert wanted(load([CONFIG]), exhibit) is not None


def test_the_catalogue_loads_without_torch() -> None:
    code = "import sys, createrec.exhibits; assert not {'torch', 'matplotlib', 'pydantic'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_papers_exhibits_are_found_by_name_and_by_number() -> None:
    assert find("table", "table2") is find("table", "2") is BY_NAME["table2"]
    with pytest.raises(ConfigError, match="figure 'table2': unknown; known: figure2, figure3, figure4, figure5"):
        find("figure", "table2")


def test_a_legend_says_what_and_where() -> None:
    legend = BY_NAME["figure4"].legend
    assert legend.startswith(
        "**Figure 4** (Section 5.2). NDCG@10 of CREATE against the number of warm-up epochs. Filled"
    )


def written(folder: Path, name: str, content: dict) -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("overlay", sorted(ROOT.glob("config/*.yaml")), ids=lambda path: path.name)
def test_an_ablation_is_shown_where_the_overlay_names_it_or_says_nothing_of_what_is_shown(overlay: Path) -> None:
    given = read_yaml(overlay)
    says_what_is_shown = bool({"table1", "table2", "ablations"} & set(given))
    config = load([CONFIG, overlay])
    for name in ("alignment", "backbone", *SWEPT):
        expected = not says_what_is_shown or name in given.get("ablations", {})
        assert bool(dict(config.ablations)[name].datasets) == expected, name


def test_the_demo_plans_made_data_alone() -> None:
    cells = [cell for group in plan(load([CONFIG, ROOT / "config" / "demo.yaml"])).values() for cell in group]
    assert {cell.run.dataset for cell in cells} == {"demo"}


def test_an_overlay_that_names_one_ablation_keeps_the_rest_of_its_entry(tmp_path: Path) -> None:
    overlay = written(tmp_path, "one.yaml", {"ablations": {"warmup": {"values": [5]}}})
    config = load([CONFIG, overlay])
    assert (config.ablations.warmup.values, config.ablations.warmup.seeds) == ((5,), (0, 1, 2))
    assert config.ablations.graph_size.datasets == config.ablations.alignment.datasets == ()
    assert config.table2 == load([CONFIG]).table2


def test_an_overlay_of_other_settings_changes_no_ablation(tmp_path: Path) -> None:
    overlay = written(tmp_path, "own.yaml", {"models": {"sasrec": {"dropout": 0.1}}})
    assert load([CONFIG, overlay]).ablations == load([CONFIG]).ablations


def test_an_ablation_without_an_entry_is_a_mistake() -> None:
    settings = merge(read_yaml(CONFIG), {"ablations": {"warmpu": {"datasets": []}}})
    with pytest.raises(ConfigError, match=r"unknown ablation 'warmpu'; known, from exhibits.py: warmup, .*backbone"):
        validate(settings)


def test_the_names_of_an_ablation_must_exist() -> None:
    settings = merge(read_yaml(CONFIG), {"ablations": {"warmup": {"datasets": ["beuty"]}}})
    with pytest.raises(ConfigError, match=r"ablations.warmup.datasets: unknown name 'beuty'; known: .*amazon-beauty"):
        validate(settings)


def test_an_ablation_of_ones_own_is_a_figure_under_its_own_name() -> None:
    mine = ablation("dimension", lambda d: {"dimension": d}, axis="Dimension", caption="NDCG@10.", section="5")
    assert (mine.name, mine.group, mine.wants) == ("ablation_dimension", "ablation_dimension", "ablations.dimension")
    assert mine.sweep is not None and mine.sweep.overrides(8) == {"dimension": 8}
    assert (mine.kind, mine.title) == ("figure", "Ablation: dimension")


def test_kinds_are_complete() -> None:
    assert sum(len(of_kind(kind)) for kind in ("table", "figure", "page", "own")) == len(EXHIBITS)
