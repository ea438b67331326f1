# Figures 2 to 5 and Table 2 as a picture (gains), each as PDF and PNG with the data behind it as CSV. Each rule is also its
# target; `cells` is there as in tables.smk.


rule figure2:
    input:
        records=records_of("figure2"),
        code=code_of("figure"),
    output:
        pdf="paper_figures/figure2.pdf",
        png=report(
            "paper_figures/figure2.png",
            caption="../report/figure2.rst",
            category="Figures",
            labels={"figure": "Figure 2"},
        ),
        csv="paper_figures/figure2.csv",
    log:
        "logs/figures/figure2.log",
    localrule: True
    params:
        name=2,
        cells=cells_of("figure2"),
        stem=subpath(output.pdf, strip_suffix=".pdf"),
    message:
        "Drawing {output.png}"
    shell:
        """
        createrec figure {params.name} --config results/config.json --records results/runs \
            --output-stem {params.stem:q} 2>&1 | tee {log:q}
        """


use rule figure2 as figure3 with:
    input:
        records=records_of("ablation_graph_size"),
        levels=levels_of("graph_size"),
        code=code_of("figure"),
    output:
        pdf="paper_figures/figure3.pdf",
        png=report(
            "paper_figures/figure3.png",
            caption="../report/figure3.rst",
            category="Figures",
            labels={"figure": "Figure 3"},
        ),
        csv="paper_figures/figure3.csv",
    log:
        "logs/figures/figure3.log",
    params:
        name=3,
        cells=cells_of("ablation_graph_size"),
        stem=subpath(output.pdf, strip_suffix=".pdf"),


use rule figure2 as figure4 with:
    input:
        records=records_of("ablation_warmup"),
        levels=levels_of("warmup"),
        code=code_of("figure"),
    output:
        pdf="paper_figures/figure4.pdf",
        png=report(
            "paper_figures/figure4.png",
            caption="../report/figure4.rst",
            category="Figures",
            labels={"figure": "Figure 4"},
        ),
        csv="paper_figures/figure4.csv",
    log:
        "logs/figures/figure4.log",
    params:
        name=4,
        cells=cells_of("ablation_warmup"),
        stem=subpath(output.pdf, strip_suffix=".pdf"),


use rule figure2 as figure5 with:
    input:
        records=records_of("ablation_barlow_weight"),
        levels=levels_of("barlow_weight"),
        code=code_of("figure"),
    output:
        pdf="paper_figures/figure5.pdf",
        png=report(
            "paper_figures/figure5.png",
            caption="../report/figure5.rst",
            category="Figures",
            labels={"figure": "Figure 5"},
        ),
        csv="paper_figures/figure5.csv",
    log:
        "logs/figures/figure5.log",
    params:
        name=5,
        cells=cells_of("ablation_barlow_weight"),
        stem=subpath(output.pdf, strip_suffix=".pdf"),


use rule figure2 as gains with:
    input:
        records=records_of("table2"),
        code=code_of("figure"),
    output:
        pdf="paper_figures/gains.pdf",
        png=report(
            "paper_figures/gains.png",
            caption="../report/gains.rst",
            category="Figures",
            labels={"figure": "Table 2 as a picture"},
        ),
        csv="paper_figures/gains.csv",
    log:
        "logs/figures/gains.log",
    params:
        name="gains",
        cells=cells_of("table2"),
        stem=subpath(output.pdf, strip_suffix=".pdf"),
