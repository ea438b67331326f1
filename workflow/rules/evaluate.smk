# Full-catalogue ranking of one trained model, its record, and all records in one table (paper, Section 4.3).


rule evaluate:
    input:
        split=split_of,
        statistics=statistics_of,
        model="results/runs/{dataset}/{model}/{variant}/seed{seed}/model.safetensors",
        history="results/runs/{dataset}/{model}/{variant}/seed{seed}/training.json",
        code=evaluate_code,
        again=other_record,
    output:
        record="results/runs/{dataset}/{model}/{variant}/seed{seed}/record.json",
        ranks="results/runs/{dataset}/{model}/{variant}/seed{seed}/ranks.parquet",
    log:
        "logs/evaluate/{dataset}/{model}/{variant}/seed{seed}.log",
    benchmark:
        "results/benchmarks/evaluate/{dataset}/{model}/{variant}/seed{seed}.jsonl"
    threads: 2
    resources:
        gpu=gpu_of,
        gpu_mb=gpu_mb_of,
        mem_mb=growing(6000),
        runtime=60,
    params:
        settings=evaluate_settings,
    message:
        "Ranking with {wildcards.model} ({wildcards.variant}) on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        """
        createrec evaluate --settings {params.settings:q} \
            --split {input.split:q} --statistics {input.statistics:q} \
            --model {input.model:q} --history {input.history:q} \
            --record {output.record:q} --ranks {output.ranks:q} 2>&1 | tee {log:q}
        """


rule metrics:
    input:
        records=run_files(RUNS, "record.json"),
        code=code_of("collect"),
    output:
        "results/metrics.csv",
    log:
        "logs/metrics.log",
    localrule: True
    message:
        "Collecting the metrics of all runs"
    shell:
        "createrec collect --config results/config.json --output {output:q} {input.records:q} 2>&1 | tee {log:q}"
