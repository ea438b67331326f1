"""A small project in a folder of its own, for tests of commands about its runs."""

import json

import pytest
from support import PROJECT_MODELS, PROJECT_SEEDS, TINY, interactions, plain_settings


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a dataset, and a configuration of Table 2 and a sweep over warm-ups that shares its runs."""
    data = interactions(users=60, items=40, seed=2)
    rows = zip(data.user_ids[data.user], data.item_ids[data.item], data.time, strict=True)
    (tmp_path / "mine.csv").write_text("user,item,time\n" + "".join(f"{u},{i},{t}\n" for u, i, t in rows))
    nothing = {"datasets": [], "values": [], "seeds": []}
    config = {
        "datasets": {"mine": {"max_length": 7, "file": {"path": str(tmp_path / "mine.csv")}}},
        "models": {
            name: plain_settings(name, **({} if name == "random" else {"training": TINY}))
            for name in (*PROJECT_MODELS, "lightgcn", "bert4rec")
        },
        "hparams": None,
        "evaluation": {"cutoffs": [5]},
        "table1": [],
        "table2": {"datasets": ["mine"], "models": PROJECT_MODELS, "seeds": PROJECT_SEEDS},
        "table3": {"datasets": [], "models": [], "seeds": []},
        "figure2": {"datasets": [], "seeds": []},
        "ablations": {
            "warmup": {"datasets": ["mine"], "values": [0, 2], "seeds": PROJECT_SEEDS},
            **{name: nothing for name in ("graph_size", "barlow_weight")},
            "alignment": {"datasets": [], "graphs": [], "alignments": [], "seeds": []},
            "backbone": {"datasets": [], "sequences": [], "graphs": [], "seeds": []},
        },
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path)
    return tmp_path
