"""The paper's numbers as package data."""

from collections import Counter

import pytest

from createrec.errors import DataError
from createrec.paper.reported import described, printed, reported_value, reported_values


def test_every_table_is_whole():
    # Table 1: 5 datasets x 3 counts; 2: 5 x 9 models x 6 metrics; 3: 2 x 5 x 2; 4: 2 x 7 rows x 4; 5: 4 x 2.
    counts = Counter(row.table for row in reported_values())
    assert counts == {"table1": 15, "table2": 270, "table3": 20, "table4": 56, "table5": 8}


def test_names_become_ours():
    rows = {(row.table, row.name, row.metric): row for row in reported_values()}
    loom = rows["table3", "LOOM", "recall@10"]  # the paper's HR@10, one target per user
    assert (loom.model, loom.dataset) == ("loom", "amazon-beauty")
    barlow = rows["table4", "CREATE(LightGCN,barlow)", "ndcg@10"]
    assert (barlow.model, dict(barlow.labels)) == ("create", {"graph": "lightgcn", "alignment": "barlow"})
    backbone = rows["table5", "CREATE(BERT4Rec,UltraGCN)", "recall@10"]
    assert dict(backbone.labels) == {"sequence": "bert4rec", "graph": "ultragcn"}
    assert dict(rows["table4", "SASRec", "ndcg@10"].labels) == {"graph": "-", "alignment": "sequential"}


def test_one_value_is_found_by_its_place():
    assert reported_value("table2", "amazon-beauty", "create", "ndcg@10") == 2.15
    labels = {"graph": "ultragcn", "alignment": "none"}
    assert reported_value("table4", "amazon-sports", "create", "coverage@100", labels) == 89.76
    with pytest.raises(DataError, match="no mrr@10 of create"):
        reported_value("table2", "amazon-beauty", "create", "mrr@10")


def test_numbers_print_as_in_the_paper():
    assert [printed(value) for value in (2.15, 2.1, 1.0, 0.003, 0.017)] == ["2.15", "2.10", "1.00", "0.003", "0.017"]


def test_figures_are_known_by_their_description():
    assert described("figure4")["amazon-beauty"] == {"best": 50}
    assert described("figure5")["amazon-sports"]["best"] == 0.2
    assert described("figure2")["amazon-sports"] == {"last_level": 2.0}
