"""From a raw file to a split: download, readers, interactions, split, sequences, graph."""
