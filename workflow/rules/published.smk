# The committed records of real runs, rendered again without any training. No rule makes what these rules read, so a
# fresh clone never asks for a training here. A record that is not of today's plan and of the published data is left out
# and named.


rule published_tables:
    input:
        records=published("runs/**/record.json"),
        summaries=published("data/*/dataset.json"),
        statistics=published("splits/*/*/split.json"),
        code=code_of("table"),
    output:
        collect(
            "results/published/tables/table{number}.{suffix}",
            number=range(1, 6),
            suffix=["csv", "md", "tex", "html"],
        ),
    log:
        "logs/published/tables.log",
    localrule: True
    params:
        folder=published_folder,
    message:
        "Rendering Tables 1 to 5 from the published records"
    shell:
        """
        for number in 1 2 3 4 5; do
            createrec table $number --config results/config.json --records {params.folder:q}/runs \
                --data {params.folder:q}/data --splits {params.folder:q}/splits \
                --leave-out --output-stem results/published/tables/table$number
        done 2>&1 | tee {log:q}
        """


# Same files as those of figure2 to figure5: what is asked for last is what lies in paper_figures/.
rule published_figures:
    input:
        records=published("runs/**/record.json"),
        summaries=published("data/*/dataset.json"),
        statistics=published("splits/*/*/split.json"),
        code=code_of("figure"),
    output:
        collect(
            "paper_figures/{name}.{suffix}",
            name=["figure2", "figure3", "figure4", "figure5", "gains"],
            suffix=["pdf", "png", "csv"],
        ),
    log:
        "logs/published/figures.log",
    localrule: True
    params:
        folder=published_folder,
    message:
        "Drawing Figures 2 to 5 and Table 2 as a picture from the published records"
    shell:
        """
        for name in figure2 figure3 figure4 figure5 gains; do
            createrec figure ${{name#figure}} --config results/config.json --records {params.folder:q}/runs \
                --data {params.folder:q}/data --splits {params.folder:q}/splits \
                --leave-out --output-stem paper_figures/$name
        done 2>&1 | tee {log:q}
        """


ruleorder: figure2 > published_figures
ruleorder: figure3 > published_figures
ruleorder: figure4 > published_figures
ruleorder: figure5 > published_figures
ruleorder: gains > published_figures


rule published_comparison:
    input:
        records=published("runs/**/record.json"),
        ranks=published("runs/**/ranks.parquet"),
        summaries=published("data/*/dataset.json"),
        statistics=published("splits/*/*/split.json"),
        code=code_of("comparison"),
    output:
        collect(
            "results/published/comparison/{name}.{suffix}",
            name=["comparison", "claims", "significance", "sensitivity"],
            suffix=["csv", "md", "html"],
        ),
    log:
        "logs/published/comparison.log",
    localrule: True
    params:
        folder=published_folder,
    message:
        "Comparing the published records with the paper"
    shell:
        """
        createrec comparison --config results/config.json --records {params.folder:q}/runs \
            --data {params.folder:q}/data --splits {params.folder:q}/splits \
            --leave-out --output-folder results/published/comparison 2>&1 | tee {log:q}
        """
