"""CREATE (arXiv 2602.23471), reproduced: `snakemake -c2` builds the whole paper, `snakemake table2 -c2` one part of it.

The experiment stands in config.yaml; overlays in config/ narrow or widen it. Write the target first, because
Snakemake's options with several values swallow what follows them:

    snakemake table2 --configfile config/beauty.yaml -c2
"""

from snakemake.utils import min_version

min_version("9.27")


# Beside this file and not in the working directory, so that --directory keeps sets of results apart.
configfile: f"{workflow.current_basedir}/config.yaml"


# The image of `make docker` holds what every rule needs; it is used by `--sdm apptainer` only.
container: "docker-daemon://createrec:latest"


report: "workflow/report/workflow.rst"


# Checks the configuration against its types before anything else happens, and holds all helpers.
include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/tune.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/ablations.smk"
include: "workflow/rules/published.smk"
include: "workflow/rules/validation.smk"


localrules:
    all,
    demo,


rule all:
    default_target: True
    input:
        collect("results/tables/{table}.csv", table=TABLES),
        collect("paper_figures/{figure}.pdf", figure=FIGURES),
        "results/comparison/claims.md",
        "results/metrics.csv",


# The first look: with config/demo.yaml on a made dataset, in minutes (make demo).
rule demo:
    input:
        rules.table1.output,
        rules.table2.output,
        rules.figure2.output,
