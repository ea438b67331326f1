"""What all unit tests share; `support` beside this file holds the made data."""

import os
from pathlib import Path

import pytest
import torch

# More threads than one only get in each other's way on tensors this small.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of real data, where there is one."""
    folder = os.environ.get("CREATEREC_MIRROR", "")
    if not Path(folder).is_dir() or not folder:
        pytest.skip("no folder of real data: set CREATEREC_MIRROR")
    return Path(folder)
