"""What all tests share, and which of them stay together when they run side by side (make test)."""

from pathlib import Path
from typing import Any

import pytest

UNIT = Path(__file__).parent / "unit"
DEMO = ("test_demo.py", "test_report.py")  # the tests of the built demo share it
PLANS = "test_plans.py"  # its tests start a Snakemake each and share nothing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips tests that need a CUDA device where torch sees none.

    Side by side, what takes longest starts first, so that no process is left alone with it at the end.
    """
    if items and hasattr(items[0].config, "workerinput"):
        items.sort(key=_length, reverse=True)
    gpu_tests = [item for item in items if item.get_closest_marker("gpu")]
    if not gpu_tests:
        return
    import torch  # seconds, and only these tests need to know

    if not torch.cuda.is_available():
        for item in gpu_tests:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def _length(item: pytest.Item) -> int:
    """Which tests take longer than others, roughly."""
    if UNIT in item.path.parents:
        return 0
    return 1 if item.path.name == PLANS else 3 if item.path.name in DEMO else 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The tests of a file run in one process, because they share what they build.

    `--dist loadgroup` and its marks would say the same, but xdist 3.8 sets no group under pytest 9.2, without a word.
    """
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return nodeid if file.endswith(PLANS) else "demo" if file.endswith(DEMO) else file

    return Scheduling(config, log)
