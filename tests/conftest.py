"""What all tests share, and which of them stay together when they run side by side (make test)."""

from pathlib import Path

import pytest

UNIT = Path(__file__).parent / "unit"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups tests that share something costly, and skips those that need a CUDA device where torch sees none.

    Side by side, what takes longest starts first, so that no process is left alone with it at the end.
    """
    for item in items:
        if group := _group(item):
            item.add_marker(pytest.mark.xdist_group(group))
    if items and hasattr(items[0].config, "workerinput"):
        items.sort(key=_length, reverse=True)
    gpu_tests = [item for item in items if item.get_closest_marker("gpu")]
    if not gpu_tests:
        return
    import torch  # seconds, and only these tests need to know

    if not torch.cuda.is_available():
        for item in gpu_tests:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def _group(item: pytest.Item) -> str:
    """The tests of one group run in one process, one after the other; those without a group run anywhere.

    A file of unit tests shares what it trains. Of the workflow's tests, those of the built demo share it, and a file
    shares its fixtures of module scope; the rest start a Snakemake each.
    """
    if UNIT in item.path.parents:
        return str(item.path)
    if "demo" in item.fixturenames:
        return "demo"
    fixtures = item._fixtureinfo.name2fixturedefs.values()
    if any(definitions[-1].scope == "module" for definitions in fixtures):
        return str(item.path)
    return ""


def _length(item: pytest.Item) -> int:
    """Which tests take longer than others, roughly: the built demo, what a file of the workflow's tests shares, a start
    of Snakemake, all others.
    """
    if UNIT in item.path.parents:
        return 0
    group = item.get_closest_marker("xdist_group")
    return 1 if group is None else 3 if group.args == ("demo",) else 2
