# Tables 1 to 5 and the comparison with the paper's numbers: pure functions of records. Each table's rule is also its
# target. `cells` is not read by the command; it renders a table anew when its list of runs changes.


rule table1:
    input:
        summaries=summaries_of(PROJECT.table1),
        statistics=statistics_files(PROJECT.table1),
        code=code_of("table"),
    output:
        csv="results/tables/table1.csv",
        md="results/tables/table1.md",
        tex="results/tables/table1.tex",
        html=report(
            "results/tables/table1.html",
            caption="../report/table1.rst",
            category="Tables",
            labels={"table": "Table 1"},
        ),
    log:
        "logs/tables/table1.log",
    localrule: True
    params:
        number=1,
        cells=as_json(PROJECT.table1),
        stem=subpath(output.csv, strip_suffix=".csv"),
    message:
        "Rendering Table {params.number}"
    shell:
        """
        createrec table {params.number} --config results/config.json --records results/runs \
            --data results/data --splits results/splits --output-stem {params.stem:q} 2>&1 | tee {log:q}
        """


use rule table1 as table2 with:
    input:
        summaries=summaries_of(PROJECT.table2.datasets),
        records=records_of("table2"),
        code=code_of("table"),
    output:
        csv="results/tables/table2.csv",
        md="results/tables/table2.md",
        tex="results/tables/table2.tex",
        html=report(
            "results/tables/table2.html",
            caption="../report/table2.rst",
            category="Tables",
            labels={"table": "Table 2"},
        ),
    log:
        "logs/tables/table2.log",
    params:
        number=2,
        cells=cells_of("table2"),
        stem=subpath(output.csv, strip_suffix=".csv"),


use rule table1 as table3 with:
    input:
        summaries=summaries_of(PROJECT.table3.datasets),
        records=records_of("table3"),
        code=code_of("table"),
    output:
        csv="results/tables/table3.csv",
        md="results/tables/table3.md",
        tex="results/tables/table3.tex",
        html=report(
            "results/tables/table3.html",
            caption="../report/table3.rst",
            category="Tables",
            labels={"table": "Table 3"},
        ),
    log:
        "logs/tables/table3.log",
    params:
        number=3,
        cells=cells_of("table3"),
        stem=subpath(output.csv, strip_suffix=".csv"),


use rule table1 as table4 with:
    input:
        summaries=summaries_of(PROJECT.ablations.alignment.datasets),
        records=records_of("ablation_alignment"),
        code=code_of("table"),
    output:
        csv="results/tables/table4.csv",
        md="results/tables/table4.md",
        tex="results/tables/table4.tex",
        html=report(
            "results/tables/table4.html",
            caption="../report/table4.rst",
            category="Tables",
            labels={"table": "Table 4"},
        ),
    log:
        "logs/tables/table4.log",
    params:
        number=4,
        cells=cells_of("ablation_alignment"),
        stem=subpath(output.csv, strip_suffix=".csv"),


use rule table1 as table5 with:
    input:
        summaries=summaries_of(PROJECT.ablations.backbone.datasets),
        records=records_of("ablation_backbone"),
        code=code_of("table"),
    output:
        csv="results/tables/table5.csv",
        md="results/tables/table5.md",
        tex="results/tables/table5.tex",
        html=report(
            "results/tables/table5.html",
            caption="../report/table5.rst",
            category="Tables",
            labels={"table": "Table 5"},
        ),
    log:
        "logs/tables/table5.log",
    params:
        number=5,
        cells=cells_of("ablation_backbone"),
        stem=subpath(output.csv, strip_suffix=".csv"),


# Every reported value beside ours, a verdict for each claim, and the paired tests behind the verdicts.
rule comparison:
    input:
        summaries=summaries_of(dict.fromkeys(run.dataset for run in RUNS.values())),
        records=run_files(RUNS, "record.json"),
        ranks=run_files(RUNS, "ranks.parquet"),
        code=code_of("comparison"),
    output:
        comparison="results/comparison/comparison.csv",
        comparison_md="results/comparison/comparison.md",
        comparison_html=report(
            "results/comparison/comparison.html",
            caption="../report/comparison.rst",
            category="Ours beside the paper's",
            labels={"part": "Values"},
        ),
        claims="results/comparison/claims.csv",
        claims_md="results/comparison/claims.md",
        claims_html=report(
            "results/comparison/claims.html",
            caption="../report/claims.rst",
            category="Ours beside the paper's",
            labels={"part": "Claims"},
        ),
        significance="results/comparison/significance.csv",
        significance_md="results/comparison/significance.md",
        significance_html=report(
            "results/comparison/significance.html",
            caption="../report/significance.rst",
            category="Ours beside the paper's",
            labels={"part": "Significance"},
        ),
        sensitivity="results/comparison/sensitivity.csv",
        sensitivity_md="results/comparison/sensitivity.md",
        sensitivity_html=report(
            "results/comparison/sensitivity.html",
            caption="../report/sensitivity.rst",
            category="Ours beside the paper's",
            labels={"part": "Sensitivity"},
        ),
    log:
        "logs/comparison.log",
    localrule: True
    params:
        cells=all_cells,
        folder=subpath(output.claims, parent=True),
    message:
        "Comparing with the paper"
    shell:
        """
        createrec comparison --config results/config.json --records results/runs --data results/data \
            --splits results/splits --output-folder {params.folder:q} 2>&1 | tee {log:q}
        """
