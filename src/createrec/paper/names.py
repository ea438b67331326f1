"""Display names: how models, datasets, metrics and settings are called in tables and figures, in one place."""

from createrec.kinds import of_role

PAPER_MODELS = {name: kind.title for name, kind in of_role("model").items()}
MODELS = {
    name: f"{kind.title} ({kind.remark})" if kind.remark else kind.title for name, kind in of_role("model").items()
}
DATASETS = {
    "ml-1m": "MovieLens-1M",
    "amazon-beauty": "Amazon Beauty",
    "amazon-sports": "Amazon Sports",
    "amazon-clothing": "Amazon Clothing",
    "amazon-office": "Amazon Office",
    "yambda-50m": "Yambda-50M",
    "demo": "Demo",
}
ALIGNMENTS = {name: kind.title for name, kind in of_role("alignment").items()} | {"sequential": "Sequential model"}
LOSSES = {"local": "local (sequence)", "global": "global (graph)"} | {
    name: f"alignment ({kind.title})" for name, kind in of_role("alignment").items()
}
# The metric that gains, the ablations' curves and the choice of settings go by (paper, Section 4.2 and Figures 3 to 5).
DECIDING = "ndcg@10"
_METRICS = {"ndcg": "NDCG", "recall": "Recall", "hr": "HR", "coverage": "Coverage"}


def model_name(model: str) -> str:
    """Ours; a model from outside the paper keeps its own name."""
    return MODELS.get(model, model)


def dataset_name(dataset: str) -> str:
    """Ours; a dataset from outside the paper keeps its own name."""
    return DATASETS.get(dataset, dataset)


def metric_name(metric: str) -> str:
    """`ndcg@10` -> `NDCG@10`."""
    family, _, cutoff = metric.partition("@")
    return f"{_METRICS[family]}@{cutoff}"
