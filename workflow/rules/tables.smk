# Tables, and the pages that compare with the paper: pure functions of records, a rule for each table of
# src/createrec/exhibits.py. Each rule is also its target. `shown` is not read by the command; it renders a table anew
# when its list of runs changes.

for exhibit in of_kind("table"):

    rule:
        name:
            exhibit.name
        input:
            summaries=summaries_of(datasets_of(exhibit)),
            statistics=statistics_behind(exhibit),
            records=records_of(exhibit),
            tests=tests_beside(exhibit),
            code=code_of_exhibits([exhibit]),
        output:
            csv=f"results/tables/{exhibit.name}.csv",
            md=f"results/tables/{exhibit.name}.md",
            tex=f"results/tables/{exhibit.name}.tex",
            html=report(
                f"results/tables/{exhibit.name}.html",
                caption="../report/exhibit.rst",
                category="Tables",
                labels={"table": exhibit.title},
            ),
        log:
            f"logs/tables/{exhibit.name}.log",
        localrule: True
        params:
            exhibit=exhibit.name,
            caption=exhibit.legend,
            shown=shown_by(exhibit),
            folder=subpath(output.csv, parent=True),
        message:
            f"Rendering {exhibit.title}"
        shell:
            """
            createrec table {params.exhibit:q} --config results/config.json --records results/runs \
                --data results/data --splits results/splits --output-folder {params.folder:q} 2>&1 | tee {log:q}
            """


# CREATE against each baseline of Table 2, user by user. It needs no more trainings than the table itself, so the table
# brings it along.
rule significance:
    input:
        summaries=summaries_of(PROJECT.table2.datasets),
        records=records_of(BY_NAME["table2"]),
        ranks=ranks_of(BY_NAME["table2"]),
        code=code_of_exhibits([BY_NAME["significance"]]),
    output:
        csv="results/tables/significance.csv",
        md="results/tables/significance.md",
        html=report(
            "results/tables/significance.html",
            caption="../report/exhibit.rst",
            category="Tables",
            labels={"table": "Table 2, significance"},
        ),
    log:
        "logs/tables/significance.log",
    localrule: True
    params:
        caption=BY_NAME["significance"].legend,
        shown=shown_by(BY_NAME["table2"]),
        folder=subpath(output.csv, parent=True),
    message:
        "Testing the differences of Table 2"
    shell:
        """
        createrec significance --config results/config.json --records results/runs --data results/data \
            --splits results/splits --output-folder {params.folder:q} 2>&1 | tee {log:q}
        """


# Every reported value beside ours, a verdict for each claim, and the paired tests behind the verdicts.
rule comparison:
    input:
        summaries=summaries_of(dict.fromkeys(run.dataset for run in RUNS.values())),
        records=run_files(RUNS, "record.json"),
        ranks=run_files(RUNS, "ranks.parquet"),
        code=code_of_exhibits(of_kind("page")),
    output:
        collect("results/comparison/{page}.{suffix}", page=PAGES, suffix=["csv", "md"]),
        *[
            report(
                f"results/comparison/{page.name}.html",
                caption="../report/exhibit.rst",
                category="Ours beside the paper's",
                labels={"part": page.title},
            )
            for page in of_kind("page")
        ],
    log:
        "logs/comparison.log",
    localrule: True
    params:
        caption="\n\n".join(page.legend for page in of_kind("page")),
        shown=as_json({group: shown_in(group) for group in PLAN}),
        folder=subpath(output[0], parent=True),
    message:
        "Comparing with the paper"
    shell:
        """
        createrec comparison --config results/config.json --records results/runs --data results/data \
            --splits results/splits --output-folder {params.folder:q} 2>&1 | tee {log:q}
        """
