# Our numbers beside those that others have published for the same files and split (docs/validation.md): trained here, or
# from the committed records.


rule validation:
    input:
        records=records_of(BY_NAME["validation"]),
        summaries=summaries_of(PROJECT.validation.datasets),
        code=code_of_exhibits([BY_NAME["validation"]]),
    output:
        csv="results/comparison/validation.csv",
        md="results/comparison/validation.md",
        html=report(
            "results/comparison/validation.html",
            caption="../report/exhibit.rst",
            category="Ours beside others'",
            labels={"part": "Values"},
        ),
        pdf="results/comparison/validation.pdf",
        png=report(
            "results/comparison/validation.png",
            caption="../report/exhibit.rst",
            category="Ours beside others'",
            labels={"part": "Figure"},
        ),
    log:
        "logs/validation.log",
    localrule: True
    params:
        caption=BY_NAME["validation"].legend,
        shown=shown_by(BY_NAME["validation"]),
        folder=subpath(output.csv, parent=True),
    message:
        "Comparing with the numbers that others published"
    shell:
        """
        createrec validation --config results/config.json --records results/runs --data results/data \
            --splits results/splits --output-folder {params.folder:q} 2>&1 | tee {log:q}
        """


rule published_validation:
    input:
        records=published("runs/**/record.json"),
        summaries=published("data/*/dataset.json"),
        statistics=published("splits/*/*/split.json"),
        code=code_of_exhibits([BY_NAME["validation"]]),
    output:
        collect("results/published/comparison/validation.{suffix}", suffix=["csv", "md", "html", "pdf", "png"]),
    log:
        "logs/published/validation.log",
    localrule: True
    params:
        folder=published_folder,
    message:
        "Comparing the published records with the numbers that others published"
    shell:
        """
        createrec validation --config results/config.json --records {params.folder:q}/runs \
            --data {params.folder:q}/data --splits {params.folder:q}/splits \
            --leave-out --output-folder results/published/comparison 2>&1 | tee {log:q}
        """
