# The committed records of real runs, rendered again without any training. No rule makes what these rules read, so a
# fresh clone never asks for a training here. A record that is not of today's plan and of the published data is left out
# and named.


rule published_tables:
    input:
        records=published("runs/**/record.json"),
        summaries=published("data/*/dataset.json"),
        statistics=published("splits/*/*/split.json"),
        code=code_of_exhibits(of_kind("table")),
    output:
        collect(
            "results/published/tables/{table}.{suffix}",
            table=TABLES,
            suffix=["csv", "md", "tex", "html"],
        ),
    log:
        "logs/published/tables.log",
    localrule: True
    params:
        exhibits=TABLES,
        folder=published_folder,
    message:
        "Rendering all tables from the published records"
    shell:
        """
        createrec table {params.exhibits:q} --config results/config.json --records {params.folder:q}/runs \
            --data {params.folder:q}/data --splits {params.folder:q}/splits \
            --leave-out --output-folder results/published/tables 2>&1 | tee {log:q}
        """


# Same files as those of the figures' own rules: what is asked for last is what lies in paper_figures/.
rule published_figures:
    input:
        records=published("runs/**/record.json"),
        summaries=published("data/*/dataset.json"),
        statistics=published("splits/*/*/split.json"),
        code=code_of_exhibits(of_kind("figure")),
    output:
        collect(
            "paper_figures/{figure}.{suffix}",
            figure=FIGURES,
            suffix=["pdf", "png", "csv"],
        ),
    log:
        "logs/published/figures.log",
    localrule: True
    params:
        exhibits=FIGURES,
        folder=published_folder,
    message:
        "Drawing all figures from the published records"
    shell:
        """
        createrec figure {params.exhibits:q} --config results/config.json --records {params.folder:q}/runs \
            --data {params.folder:q}/data --splits {params.folder:q}/splits \
            --leave-out --output-folder paper_figures 2>&1 | tee {log:q}
        """


# `ruleorder` takes literal names alone.
for figure in FIGURES:
    workflow.ruleorder(figure, "published_figures")


rule published_comparison:
    input:
        records=published("runs/**/record.json"),
        ranks=published("runs/**/ranks.parquet"),
        summaries=published("data/*/dataset.json"),
        statistics=published("splits/*/*/split.json"),
        code=code_of_exhibits(of_kind("page")),
    output:
        collect(
            "results/published/comparison/{page}.{suffix}",
            page=PAGES,
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


# What searches of a given length are expected to find: SASRec beside CREATE under an equal number of trials.
rule published_searches:
    input:
        trials=published("tuning/*/*/trials.csv"),
        code=code_of("searches"),
    output:
        collect("results/published/tuning/searches.{suffix}", suffix=["pdf", "png", "csv"]),
    log:
        "logs/published/searches.log",
    localrule: True
    params:
        folder=published_folder,
    message:
        "Drawing what searches are expected to find"
    shell:
        """
        createrec searches --tuning {params.folder:q}/tuning --output-stem results/published/tuning/searches 2>&1 | tee {log:q}
        """


# All of it as one page: claims, tables, figures, tests, and where each number comes from.
rule published_report:
    input:
        records=published("runs/**/record.json"),
        ranks=published("runs/**/ranks.parquet"),
        summaries=published("data/*/dataset.json"),
        statistics=published("splits/*/*/split.json"),
        gpu=[path for path in [gpu_measurements(None)] if os.path.exists(path)],
        code=code_of("report"),
    output:
        "results/published/report.html",
    log:
        "logs/published/report.log",
    localrule: True
    params:
        folder=published_folder,
        gpu=gpu_measurements,
    message:
        "Writing {output} from the published records"
    shell:
        """
        createrec report --config results/config.json --records {params.folder:q}/runs \
            --data {params.folder:q}/data --splits {params.folder:q}/splits --leave-out \
            --gpu {params.gpu:q} --output {output:q} 2>&1 | tee {log:q}
        """
