"""docs/extending.md is followed to the letter: its own blocks, in a copy of the project, and its own commands."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from smaller_demo import SMALLER

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "extending.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in GUIDE.split("\n## ")[1:]}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r'# (\S+)(?:, above "(.*)")?\n')


@dataclass(frozen=True)
class Block:
    """A piece of a file: the whole file, or what goes above the line that holds `above`."""

    file: str
    above: str | None
    text: str


def blocks(section: str) -> list[Block]:
    found = []
    for language, text in BLOCK.findall(SECTIONS[section]):
        if language != "sh":
            place = PLACE.match(text)
            assert place, f"{section}: no file is named in {text!r}"
            found.append(Block(place[1], place[2], text[place.end() :]))
    return found


def commands(section: str) -> list[str]:
    return [text.strip() for language, text in BLOCK.findall(SECTIONS[section]) if language == "sh"]


class Copy:
    """A copy of the project in which every block of the guide has been applied."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.edited: dict[str, list[str]] = {}

    def apply(self, section: str, block: Block) -> None:
        file = self.folder / block.file
        if block.above is None:
            file.parent.mkdir(exist_ok=True)
            file.write_text(block.text)
            return
        lines = file.read_text().splitlines(keepends=True)
        (at,) = [number for number, line in enumerate(lines) if block.above in line]
        file.write_text("".join([*lines[:at], block.text, *lines[at:]]))
        self.edited.setdefault(section, []).append(block.file)

    def run(self, command: str) -> str:
        """Runs one command of the guide's in the copy; returns what it printed."""
        command = command.replace("PYTHONPATH=.", 'PYTHONPATH=".:$PYTHONPATH"')
        environment = {key: value for key, value in os.environ.items() if key != "SNAKEMAKE_PROFILE"} | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder / "src"),
        }
        result = subprocess.run(
            command, shell=True, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=560
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def records(self, inside: str = "results") -> list[dict]:
        return [json.loads(path.read_text()) for path in sorted((self.folder / inside).rglob("record.json"))]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, copy_project) -> Copy:
    folder = tmp_path_factory.mktemp("extended")
    copy_project(folder)
    (folder / "config").mkdir()
    # The demo as the guide uses it, with fewer and shorter runs.
    demo = SMALLER | {"table2": {"datasets": ["demo"], "models": ["create"], "seeds": [0]}}
    (folder / "config" / "demo.yaml").write_text(yaml.safe_dump(demo))
    shutil.copytree(ROOT / "hparams", folder / "hparams")
    (folder / "mine").mkdir()
    (folder / "mine" / "__init__.py").touch()
    copy = Copy(folder)
    for section in SECTIONS:
        for block in blocks(section):
            copy.apply(section, block)
    return copy


def test_the_guide_is_short() -> None:
    assert list(SECTIONS) == [
        *("An encoder", "A graph encoder", "A loss", "An alignment", "An ablation", "A dataset format"),
    ]
    for section, text in SECTIONS.items():
        assert sum(bool(line.strip()) for line in text.splitlines()) < 25, section


@pytest.mark.parametrize(
    ("section", "where", "code"),
    [
        ("An encoder", (), "mine.newest:NewestEncoder"),
        ("A graph encoder", ("graph",), "mine.factors:Factors"),
        ("A loss", ("loss",), "mine.hinge:hinge"),
        ("An alignment", ("alignment",), "mine.cosine:cosine"),
    ],
)
def test_a_kind_from_outside_is_trained_without_an_edit(copy: Copy, section: str, where: tuple, code: str) -> None:
    assert section not in copy.edited
    (command,) = commands(section)
    assert "ndcg@10" in copy.run(command)
    named = []
    for record in copy.records():
        settings = record["settings"]
        for key in where:
            settings = settings.get(key) or {}
        named.append(settings.get("code"))
    assert named.count(code) == 1


@pytest.mark.timeout(1200)
def test_an_ablation_is_two_edits_and_its_figure_and_its_place_in_the_report_follow(copy: Copy) -> None:
    assert copy.edited["An ablation"] == ["src/createrec/exhibits.py", "config.yaml"]
    (command,) = commands("An ablation")
    copy.run(command)
    rows = (copy.folder / "ablated" / "paper_figures" / "ablation_dimension.csv").read_text().splitlines()
    assert [row.split(",")[:3] for row in rows[1:3]] == [["demo", "create", "8"], ["demo", "create", "16"]]
    assert {record["settings"]["dimension"] for record in copy.records("ablated")} == {8, 16}
    copy.run(f"{command} --report report.html")
    report = (copy.folder / "ablated" / "report.html").read_text()
    assert "Ablation: dimension" in report
    assert "NDCG@10 of CREATE against the dimension of the item table." in report


def test_an_ablation_is_planned_by_campaigns_and_leaves_the_demo_alone(copy: Copy) -> None:
    listed = copy.run("createrec campaign --list --datasets amazon-beauty --groups ablation_dimension")
    missing = [line for line in listed.splitlines() if not line.startswith("#")]
    # Three seeds of each of three values; a value that is the tuned one is the main table's run.
    assert len(missing) == 9 and any(folder.startswith("amazon-beauty/create/dimension-32/") for folder in missing)
    code = "from createrec.config import load; from createrec.plan import runs; "
    code += "print({run.dataset for run in runs(load(['config.yaml', 'config/demo.yaml'])).values()})"
    assert copy.run(f'python -c "{code}"').strip() == "{'demo'}"


def test_a_format_is_read(copy: Copy) -> None:
    assert sorted(copy.edited["A dataset format"]) == ["src/createrec/config.py", "src/createrec/readers/catalogue.py"]
    (copy.folder / "clicks.txt").write_text("visitor;page;moment\nann;/a;3\nbob;/b;4\nann;/b;5\n")
    code = "from createrec.config import FileConfig; from createrec.readers.catalogue import read; "
    code += "found = read('clicks.txt', FileConfig(reader='clicks')).interactions; "
    code += "print([*found.user_ids], [*found.item_ids], len(found))"
    assert copy.run(f'python -c "{code}"').strip() == "['ann', 'bob'] ['/a', '/b'] 3"
