"""The ablations over one number (Figures 3-5), as points."""

from createrec.exhibits import Exhibit, wanted
from createrec.paper.names import DECIDING
from createrec.paper.records import Estimate, Results


def points(results: Results, exhibit: Exhibit, dataset: str) -> dict[float, Estimate]:
    """Value -> estimate, in the order of the configuration.

    Args:
        exhibit: one with a sweep.
    """
    assert exhibit.sweep is not None, f"{exhibit.name} says what is swept"
    setting = exhibit.sweep.setting
    return {
        value: results.estimate(results.cells(exhibit.group, dataset, **{setting: value}), DECIDING, dataset)
        for value in wanted(results.config, exhibit).values
    }
