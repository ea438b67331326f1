"""One measurement of RecTools' fast transformers, run in RecTools' environment by `benchmarks/run.py`; prints one JSON
line.

The library gives the sequences, the batches and the network with its logits over the catalogue at every padded
position; the loop around them, which its users write themselves, is the plainest one: cross-entropy of the real
positions, backward, Adam.
"""

from importlib.metadata import version

import torch
from made import Made, command_line, report
from rectools.fast_transformers import FlatSASRecNet, SequenceBatchDataset, build_sequences
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

DIMENSION, BATCH_SIZE = 64, 128


def training(made: Made, watch) -> None:
    """One epoch, ended when the time is up; the work is targets."""
    rows = made.learnt
    inputs, targets, items, _ = build_sequences(
        *(torch.from_numpy(column[rows]) for column in (made.user, made.item, made.time)), max_len=made.max_length
    )
    net = FlatSASRecNet(len(items), DIMENSION, n_blocks=2, n_heads=2, session_max_len=made.max_length, dropout=0.3)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    watch.restart()
    for batch in DataLoader(SequenceBatchDataset(inputs, targets), batch_size=BATCH_SIZE, shuffle=True):
        logits = net(batch)
        # Columns are the items 1, 2, ...; a target of 0 is padding.
        loss = cross_entropy(logits.flatten(0, 1), batch["y"].flatten() - 1, ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if watch.lap(int((batch["y"] != 0).sum())):
            break


def main() -> None:
    _, made, _, watch = command_line(("sasrec",))
    training(made, watch)
    report(watch, version("rectools"))


if __name__ == "__main__":
    main()
