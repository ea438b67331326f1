"""The command line of the paper area, run as the rules run it, and what it does not import."""

import argparse
import json
import subprocess
import sys

import pytest
import yaml
from made_up import settings

from createrec.errors import ConfigError, DataError
from createrec.paper.commands import register


@pytest.fixture
def command(world, tmp_path):
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers(required=True))
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings()))

    def run(*words: str) -> None:
        inputs = ["--config", str(config), "--records", str(world.records), "--data", str(world.data)]
        inputs += ["--splits", str(world.splits)]
        arguments = parser.parse_args([*words, *inputs])
        arguments.run(arguments)

    return run


def test_table(command, world):
    command("table", "2", "table3", "--output-folder", str(world.out))
    expected = [f"{name}.{suffix}" for name in ("table2", "table3") for suffix in ("csv", "html", "md", "tex")]
    assert sorted(path.name for path in world.out.iterdir()) == expected


def test_figure(command, world):
    command("figure", "4", "--output-folder", str(world.out))
    assert sorted(path.name for path in world.out.iterdir()) == ["figure4.csv", "figure4.pdf", "figure4.png"]


@pytest.mark.parametrize("kind", ["table", "figure"])
def test_a_name_that_is_none_stops_the_command_before_it_writes(command, world, kind):
    with pytest.raises(ConfigError, match="9"):
        command(kind, "2", "9", "--output-folder", str(world.out))
    assert not world.out.exists()


def test_comparison(command, world):
    command("comparison", "--output-folder", str(world.out))
    names = ("claims", "comparison", "sensitivity", "significance")
    expected = [f"{name}.{suffix}" for name in names for suffix in ("csv", "html", "md")]
    assert sorted(path.name for path in world.out.iterdir()) == expected


COMMANDS = {
    "table": ("table", "2", "--output-folder"),
    "figure": ("figure", "3", "--output-folder"),
    "comparison": ("comparison", "--output-folder"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_record_that_is_not_the_plans_is_refused_or_left_out_by_name(command, world, capsys, name):
    folder = "amazon-beauty/create/table2/seed0"  # in Table 2, and a point of Figure 3
    path = world.records / folder / "record.json"
    record = json.loads(path.read_text())
    record["settings"]["training"]["epochs"] = 1
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match=rf"{folder}/record.json: .* settings.training.epochs is 1, the plan says 50"):
        command(*COMMANDS[name], str(world.out / "made"))
    assert not world.out.exists()
    command(*COMMANDS[name], str(world.out / "made"), "--leave-out")
    assert f"left out {folder}: settings.training.epochs is 1" in capsys.readouterr().err


def test_rendering_needs_no_torch():
    code = (
        "import sys, createrec.paper.commands\n"
        "assert not {'matplotlib', 'scipy', 'pandas'} & set(sys.modules), 'the help text would wait for these'\n"
        "import createrec.paper.comparison, createrec.paper.figures, createrec.paper.tables\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
