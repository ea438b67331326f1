# Hyper-parameter search on the validation fold, one study a dataset and model (paper, Section 4.2). No other rule asks
# for a study: its best settings count once `snakemake hparams` has copied them to hparams/DATASET/MODEL.yaml.


# The journal is no output, because Snakemake deletes the outputs of a job that was killed: a study goes on from it.
rule study:
    input:
        split="results/splits/{dataset}/temporal/split.safetensors",
        statistics="results/splits/{dataset}/temporal/split.json",
        code=tune_code,
    output:
        trials="results/tuning/{dataset}/{model}/trials.csv",
        choice="results/tuning/{dataset}/{model}/choice.csv",
        best="results/tuning/{dataset}/{model}/best.yaml",
        next="results/tuning/{dataset}/{model}/next.yaml",
        importance="results/tuning/{dataset}/{model}/importance.png",
    log:
        "logs/tune/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/tune/{dataset}/{model}.jsonl"
    threads: 2
    resources:
        gpu=1,
        gpu_mb=8000 * PROJECT.tuning.workers,
        mem_mb=growing(6000 * PROJECT.tuning.workers),
        runtime=2880,
    params:
        settings=study_settings,
        journal=subpath(output.trials, parent=True),
        workers=PROJECT.tuning.workers,
    message:
        "Tuning {wildcards.model} on {wildcards.dataset}"
    shell:
        """
        createrec tune --settings {params.settings:q} --split {input.split:q} --statistics {input.statistics:q} \
            --journal {params.journal:q}/journal.log --trials {output.trials:q} --choice {output.choice:q} \
            --best {output.best:q} --next {output.next:q} --importance {output.importance:q} \
            --workers {params.workers} 2>&1 | tee {log:q}
        """


# All studies that `tuning` in the configuration names.
rule tune:
    input:
        of_studies("results/tuning/{dataset}/{model}/best.yaml"),
    localrule: True


if PROJECT.hparams:

    # Training reads these files when the plan is made, so what is adopted here counts from the next call on.
    rule adopt:
        input:
            best="results/tuning/{dataset}/{model}/best.yaml",
            next="results/tuning/{dataset}/{model}/next.yaml",
        output:
            best=f"{local(PROJECT.hparams)}/{{dataset}}/{{model}}.yaml",
            next=f"{local(PROJECT.hparams)}/{{dataset}}/{{model}}.next.yaml",
        log:
            "logs/adopt/{dataset}/{model}.log",
        localrule: True
        message:
            "Adopting the tuned settings of {wildcards.model} on {wildcards.dataset}"
        shell:
            """
            cp {input.next:q} {output.next:q} 2>{log:q}
            cp {input.best:q} {output.best:q} 2>>{log:q}
            """

    # Replaces the tuned settings by those of the studies, and runs the studies that are out of date.
    rule hparams:
        input:
            of_studies(f"{local(PROJECT.hparams)}/{{dataset}}/{{model}}.yaml"),
        localrule: True
