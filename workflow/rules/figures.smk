# Figures, each as PDF and PNG with the data behind it as CSV: a rule for each figure of src/createrec/exhibits.py, which
# is also its target; `shown` is there as in tables.smk.

for exhibit in of_kind("figure"):

    rule:
        name:
            exhibit.name
        input:
            records=records_of(exhibit),
            levels=levels_beside(exhibit),
            code=code_of_exhibits([exhibit]),
        output:
            pdf=f"paper_figures/{exhibit.name}.pdf",
            png=report(
                f"paper_figures/{exhibit.name}.png",
                caption="../report/exhibit.rst",
                category="Figures",
                labels={"figure": exhibit.title},
            ),
            csv=f"paper_figures/{exhibit.name}.csv",
        log:
            f"logs/figures/{exhibit.name}.log",
        localrule: True
        params:
            exhibit=exhibit.name,
            caption=exhibit.legend,
            shown=shown_by(exhibit),
            folder=subpath(output.pdf, parent=True),
        message:
            f"Drawing {exhibit.title}"
        shell:
            """
            createrec figure {params.exhibit:q} --config results/config.json --records results/runs \
                --output-folder {params.folder:q} 2>&1 | tee {log:q}
            """
