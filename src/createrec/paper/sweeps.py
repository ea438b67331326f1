"""The ablations over one number (Figures 3-5), as points."""

from dataclasses import dataclass

from createrec.paper.records import Estimate, Results

METRIC = "ndcg@10"  # of every ablation


@dataclass(frozen=True)
class Sweep:
    """One ablation over one number.

    Attributes:
        group: its name in the plan.
        coordinate: its name in the configuration and in the labels of the plan.
        axis: the x axis, with its unit.
    """

    group: str
    coordinate: str
    axis: str

    def points(self, results: Results, dataset: str) -> dict[float, Estimate]:
        """Value -> estimate, in the order of the configuration."""
        values = getattr(results.config.ablations, self.coordinate).values
        return {
            value: results.estimate(results.cells(self.group, dataset, **{self.coordinate: value}), METRIC, dataset)
            for value in values
        }


SWEEPS = {
    3: Sweep("ablation_graph_size", "graph_size", "Graph: last interactions of each user, %"),
    4: Sweep("ablation_warmup", "warmup", "Warm-up, epochs"),
    5: Sweep("ablation_barlow_weight", "barlow_weight", "Weight of the Barlow Twins loss"),
}
