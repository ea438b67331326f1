"""One measurement of RecBole, run in its own environment by `benchmarks/run.py`; prints one JSON line.

SASRec's work is targets: each of RecBole's samples is one prefix with one target. Ranking is its own full-sort
evaluation (RecBole leaves seen items in for sequence models).
"""

import recbole
from made import command_line, report
from recbole_library import prepare, stop_after, write_interactions


def main() -> None:
    what, made, folder, watch = command_line(("sasrec", "lightgcn", "ranking"))
    if not (folder / f"{folder.name}.inter").exists():
        write_interactions(folder, made.user, made.item, made.time)
    trainer, train, valid = prepare("LightGCN" if what == "lightgcn" else "SASRec", folder, made.max_length)
    if what == "ranking":
        stop_after(valid, watch)
        trainer.evaluate(valid, load_best_model=False)
    else:
        stop_after(train, watch)
        trainer._train_epoch(train, 0)
    report(watch, recbole.__version__)


if __name__ == "__main__":
    main()
