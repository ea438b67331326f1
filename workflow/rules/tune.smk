# Hyper-parameter search on the validation fold, one study a dataset and model (paper, Section 4.2). No other rule asks
# for a study: its best settings count once they are copied to hparams/DATASET/MODEL.yaml.


# The journal is no output, because Snakemake deletes the outputs of a job that was killed: a study goes on from it.
rule study:
    input:
        split="results/splits/{dataset}/temporal/split.safetensors",
        statistics="results/splits/{dataset}/temporal/split.json",
        code=tune_code,
    output:
        trials="results/tuning/{dataset}/{model}/trials.csv",
        best="results/tuning/{dataset}/{model}/best.yaml",
        importance="results/tuning/{dataset}/{model}/importance.png",
    log:
        "logs/tune/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/tune/{dataset}/{model}.jsonl"
    threads: 2
    resources:
        gpu=1,
        mem_mb=growing(6000),
        runtime=2880,
    params:
        settings=study_settings,
        journal=subpath(output.trials, parent=True),
    message:
        "Tuning {wildcards.model} on {wildcards.dataset}"
    shell:
        """
        createrec tune --settings {params.settings:q} --split {input.split:q} --statistics {input.statistics:q} \
            --journal {params.journal:q}/journal.log --trials {output.trials:q} --best {output.best:q} \
            --importance {output.importance:q} 2>&1 | tee {log:q}
        """


# All studies that `tuning` in the configuration names.
rule tune:
    input:
        studies(),
    localrule: True
