"""Display names: how models, data sets, metrics and settings are called in tables and figures, in one place."""

PAPER_MODELS = {
    "sasrec": "SASRec",
    "bert4rec": "BERT4Rec",
    "mrgsrec": "MRGSRec",
    "svd": "SVD",
    "random": "Random",
    "poprnd": "PopRnd",
    "lightgcn": "LightGCN",
    "ultragcn": "UltraGCN",
    "gsau": "GSAU",
    "selfgnn": "Self-GNN",
    "loom": "LOOM",
    "create": "CREATE",
}
MODELS = {**PAPER_MODELS, "loom": "LOOM (reconstruction)"}
DATASETS = {
    "ml-1m": "MovieLens-1M",
    "amazon-beauty": "Amazon Beauty",
    "amazon-sports": "Amazon Sports",
    "amazon-clothing": "Amazon Clothing",
    "amazon-office": "Amazon Office",
    "yambda-50m": "Yambda-50M",
    "demo": "Demo",
}
ALIGNMENTS = {"none": "None", "contrastive": "Contrastive", "barlow": "Barlow Twins", "sequential": "Sequential model"}
LOSSES = {
    "local": "local (sequence)",
    "global": "global (graph)",
    "barlow": "alignment (Barlow Twins)",
    "contrastive": "alignment (contrastive)",
}
_METRICS = {"ndcg": "NDCG", "recall": "Recall", "hr": "HR", "coverage": "Coverage"}


def model_name(model: str) -> str:
    """Ours; a model from outside the paper keeps its own name."""
    return MODELS.get(model, model)


def dataset_name(dataset: str) -> str:
    """Ours; a data set from outside the paper keeps its own name."""
    return DATASETS.get(dataset, dataset)


def metric_name(metric: str) -> str:
    """`ndcg@10` -> `NDCG@10`."""
    family, _, cutoff = metric.partition("@")
    return f"{_METRICS[family]}@{cutoff}"
