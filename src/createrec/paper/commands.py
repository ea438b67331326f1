"""`createrec table`, `figure`, `comparison` and `validation`: results from records, beside the paper's and others'."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from createrec.errors import DataError
from createrec.exhibits import Kind, find, of_kind
from createrec.options import RESULTS, add_config, config_of

GPU = Path("benchmarks/results/gpu.json")

if TYPE_CHECKING:
    from createrec.paper.records import Results


@contextmanager
def _results(options: argparse.Namespace) -> Iterator["Results"]:
    """The plan and its records; afterwards it is said which records were left out."""
    from createrec.paper.records import Results

    results = Results(config_of(options), options.records, options.data, options.splits, leave_out=options.leave_out)
    yield results
    for folder, how in results.left_out.items():
        print(f"left out {folder}: {how}", file=sys.stderr)


def _table(options: argparse.Namespace) -> None:
    from createrec.paper.tables import write_table

    names = [find("table", name).name for name in options.names]  # before anything is written
    with _results(options) as results:
        for name in names:
            write_table(results, name, options.output_folder / name)


def _figure(options: argparse.Namespace) -> None:
    from createrec.paper.figures import write_figure

    names = [find("figure", name).name for name in options.names]
    with _results(options) as results:
        for name in names:
            write_figure(results, name, options.output_folder / name)


def _comparison(options: argparse.Namespace) -> None:
    from createrec.paper.comparison import write_pages

    with _results(options) as results:
        write_pages(results, options.output_folder)


def _significance(options: argparse.Namespace) -> None:
    from createrec.paper.comparison import write_significance

    with _results(options) as results:
        write_significance(results, options.output_folder, ("table2",))


def _validation(options: argparse.Namespace) -> None:
    from createrec.paper.validation import write_validation

    with _results(options) as results:
        write_validation(results, options.output_folder)


def _report(options: argparse.Namespace) -> None:
    from createrec.paper.report import write_report

    with _results(options) as results:
        write_report(results, options.gpu, options.output)


def _documents(options: argparse.Namespace) -> None:
    from createrec.paper.documents import write_documents
    from createrec.paper.records import Results

    published = options.root / RESULTS / "published"
    results = Results(config_of(options), published / "runs", published / "data", published / "splits", leave_out=True)
    changed = write_documents(results, options.root, check=options.check)
    if options.check and changed:
        names = ", ".join(str(path.relative_to(options.root)) for path in changed)
        raise DataError(f"{names}: not what the published records give; run `createrec documents`")
    print("\n".join(f"wrote {path}" for path in changed) or "README.md and docs/ are up to date")


def _searches(options: argparse.Namespace) -> None:
    from createrec.paper.searches import write_searches

    write_searches(options.tuning, options.output_stem)
    print(f"{options.output_stem}.png")


def _release(options: argparse.Namespace) -> None:
    from createrec.paper.release import release

    with _results(options) as results:
        for line in release(results, options.results, options.output):
            print(line)


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--records", type=Path, default=RESULTS / "runs", metavar="DIR", help="the runs' records")
    parser.add_argument(
        "--data", type=Path, default=RESULTS / "data", metavar="DIR", help="each dataset's DATASET/dataset.json"
    )
    parser.add_argument(
        "--splits", type=Path, default=RESULTS / "splits", metavar="DIR", help="each split's DATASET/SETUP/split.json"
    )
    parser.add_argument(
        "--leave-out",
        action="store_true",
        help="leave out, and name, what is not the run that the plan asks for (default: refuse it)",
    )


def _names(kind: Kind) -> str:
    """The names of all tables or figures, for a help text."""
    return f"{', '.join(exhibit.name for exhibit in of_kind(kind))}; one of the paper's also by its number"


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds this area's commands. Heavy libraries are imported when a command runs, not when help is shown."""
    table = subparsers.add_parser("table", help="tables from records, each as .csv, .md, .tex, .html")
    table.add_argument("names", nargs="+", metavar="NAME", help=_names("table"))
    _add_inputs(table)
    table.add_argument("--output-folder", type=Path, required=True, metavar="DIR")
    table.set_defaults(run=_table)

    figure = subparsers.add_parser("figure", help="figures from records, each as .pdf, .png, .csv")
    figure.add_argument("names", nargs="+", metavar="NAME", help=_names("figure"))
    _add_inputs(figure)
    figure.add_argument("--output-folder", type=Path, required=True, metavar="DIR")
    figure.set_defaults(run=_figure)

    comparison = subparsers.add_parser(
        "comparison",
        help=f"ours beside the paper's: {', '.join(page.name for page in of_kind('page'))} as .csv, .md, .html",
    )
    _add_inputs(comparison)
    comparison.add_argument("--output-folder", type=Path, required=True, metavar="DIR")
    comparison.set_defaults(run=_comparison)

    significance = subparsers.add_parser(
        "significance", help="CREATE against each baseline of Table 2, user by user: significance.csv, .md, .html"
    )
    _add_inputs(significance)
    significance.add_argument("--output-folder", type=Path, required=True, metavar="DIR")
    significance.set_defaults(run=_significance)

    validation = subparsers.add_parser(
        "validation", help="ours beside numbers that others published: validation.csv, .md, .html, .pdf, .png"
    )
    _add_inputs(validation)
    validation.add_argument("--output-folder", type=Path, required=True, metavar="DIR")
    validation.set_defaults(run=_validation)

    report = subparsers.add_parser("report", help="all results as one HTML page that needs no network")
    _add_inputs(report)
    report.add_argument("--gpu", type=Path, default=GPU, metavar="JSON", help="what benchmarks/gpu.py wrote, if it did")
    report.add_argument("--output", type=Path, required=True, metavar="HTML")
    report.set_defaults(run=_report)

    searches = subparsers.add_parser(
        "searches", help="what searches of SASRec and CREATE are expected to find, by trials: .pdf, .png, .csv"
    )
    searches.add_argument(
        "--tuning", type=Path, default=RESULTS / "tuning", metavar="DIR", help="folder of DATASET/MODEL/trials.csv"
    )
    searches.add_argument("--output-stem", type=Path, required=True, metavar="PATH", help="path without its suffix")
    searches.set_defaults(run=_searches)

    release = subparsers.add_parser(
        "release", help="the weights of the best model of Table 2 on each dataset, with a model card each"
    )
    _add_inputs(release)
    release.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="folder of the trained runs")
    release.add_argument("--output", type=Path, default=Path("dist/models"), metavar="DIR")
    release.set_defaults(run=_release)

    documents = subparsers.add_parser(
        "documents", help="bring the numbers in README.md and docs/ up to date with the published records"
    )
    add_config(documents)
    documents.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the project's folder")
    documents.add_argument("--check", action="store_true", help="change nothing; fail if something is out of date")
    documents.set_defaults(run=_documents)
