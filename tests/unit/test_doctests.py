"""The examples in docstrings give what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src"
FILES = sorted(path for path in SOURCES.rglob("*.py") if ">>> " in path.read_text())


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_the_examples_of_a_module(file: Path) -> None:
    module = importlib.import_module(".".join(file.relative_to(SOURCES).with_suffix("").parts))
    failed, tried = doctest.testmod(module)
    assert tried > 0
    assert failed == 0


def test_some_module_has_examples() -> None:
    assert SOURCES / "createrec" / "evaluation" / "metrics.py" in FILES
