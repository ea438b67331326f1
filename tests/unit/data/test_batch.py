"""A batch gives the streams that its phase draws, and says so where another one is asked for."""

import pytest
import torch

from createrec.data.batch import Batch, SequenceBatch


def test_a_stream_that_is_not_drawn_cannot_be_asked_for() -> None:
    users = torch.tensor([1, 2])
    batch = Batch(sequences=SequenceBatch(users))
    assert batch.sequences.users is users
    with pytest.raises(LookupError, match="the phase draws no edges; name the stream in its Phase"):
        _ = batch.edges
