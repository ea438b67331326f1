# One training: a model, with its resolved settings and a seed (paper, Sections 3.3 to 3.6).


rule train:
    input:
        split=split_of,
        statistics=statistics_of,
        code=train_code,
        again=other_training,
    output:
        model="results/runs/{dataset}/{model}/{variant}/seed{seed}/model.safetensors",
        history="results/runs/{dataset}/{model}/{variant}/seed{seed}/training.json",
    log:
        "logs/train/{dataset}/{model}/{variant}/seed{seed}.log",
    benchmark:
        "results/benchmarks/train/{dataset}/{model}/{variant}/seed{seed}.jsonl"
    threads: 2
    resources:
        gpu=gpu_of,
        gpu_mb=gpu_mb_of,
        mem_mb=growing(6000),
        runtime=720,
    params:
        settings=train_settings,
    message:
        "Training {wildcards.model} ({wildcards.variant}) on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        """
        createrec train --settings {params.settings:q} --split {input.split:q} --statistics {input.statistics:q} \
            --sources results/sources.json --model {output.model:q} --history {output.history:q} 2>&1 | tee {log:q}
        """
