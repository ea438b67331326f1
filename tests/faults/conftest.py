"""What the drills share: the children, the made world at each stage, and the table of what was survived."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import made
import pytest
from drills import Children, Drill, Survival

ROWS: dict[str, Survival] = {}


@pytest.fixture(scope="session")
def children() -> Iterator[Children]:
    children = Children()
    yield children
    children.close()


@pytest.fixture(scope="session")
def stages(children: Children, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """For each command, a folder as it is before that command, made without disturbance."""
    root = tmp_path_factory.mktemp("stages")
    working, before = root / "working", {}
    working.mkdir()
    made.write_table(working / "made.csv")
    for name, command in made.commands(made.run_of("create", fold="test")).items():
        before[name] = root / f"before-{name}"
        shutil.copytree(working, before[name])
        outcome = children.run(*command, cwd=working)
        assert outcome.status == 0, outcome.printed
    return {**before, "everything": working}


@pytest.fixture
def drill(children: Children, stages: Mapping[str, Path], tmp_path: Path) -> Callable[..., Drill]:
    """A drill of one command, which starts from a stage's folder."""

    def make(stage: str, arguments: list[str]) -> Drill:
        def start(folder: Path) -> None:
            shutil.copytree(stages[stage], folder, dirs_exist_ok=True)

        return Drill(children, arguments, start, tmp_path / "drill")

    return make


@pytest.fixture(scope="session")
def table() -> Callable[[str, Survival], None]:
    """Adds to a row of the table that is printed at the end, and fails if anything differed."""

    def add(fault: str, survival: Survival) -> None:
        ROWS.setdefault(fault, Survival()).add(survival)
        assert not survival.wrong, survival.wrong[0]
        assert survival.tried

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of docs/reliability.md; also a file, where FAULTS_TABLE names one."""
    if not ROWS:
        return
    lines = [
        "| fault | times tried | times survived with identical results | time to recover: median (largest) |",
        "|---|---:|---:|---|",
        *(f"| {fault} | {row.tried} | {row.survived} | {row.recovery} |" for fault, row in ROWS.items()),
    ]
    terminalreporter.section("faults survived")
    terminalreporter.write_line("\n".join(lines))
    if path := os.environ.get("FAULTS_TABLE"):
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
