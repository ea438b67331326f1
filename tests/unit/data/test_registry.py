"""The registry: every dataset of the paper, with Table 1's counts."""

import re

import pytest

from createrec.config import READERS
from createrec.data.registry import Counts, dataset, datasets
from createrec.errors import ConfigError

TABLE_1 = {  # users, items, interactions, as printed in the paper; Office from the official file
    "ml-1m": (6040, 3706, 1000209),
    "amazon-beauty": (22363, 12101, 198502),
    "amazon-sports": (35598, 18357, 296337),
    "amazon-clothing": (39387, 23033, 278677),
    "amazon-office": (4905, 2420, 53258),
    "yambda-50m": (8283, 181304, 881456),
}


def test_counts_are_those_of_table_1():
    assert {name: entry.counts for name, entry in datasets().items()} == {
        name: Counts(*counts) for name, counts in TABLE_1.items()
    }


@pytest.mark.parametrize("name", TABLE_1)
def test_each_row_is_complete(name):
    entry = dataset(name)
    assert entry.dataset == name
    assert entry.url.startswith("https://") and entry.url.endswith("/" + entry.file)
    assert entry.reader in READERS
    assert entry.licence
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", entry.added)
    assert re.fullmatch(r"([0-9a-f]{64})?", entry.sha256)
    assert entry.sha256 or entry.bytes is None


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match="unknown dataset 'amazon-beuaty'") as error:
        dataset("amazon-beuaty")
    assert all(name in str(error.value) for name in TABLE_1)
