# From a download, or anyone's own table, to the split (paper, Sections 4.1 and 4.2).


rule prepare:
    input:
        own=own_file,
        code=prepare_code,
        again=other_preparation,
    output:
        interactions="results/data/{dataset}/interactions.parquet",
        summary="results/data/{dataset}/dataset.json",
    log:
        "logs/prepare/{dataset}.log",
    benchmark:
        "results/benchmarks/prepare/{dataset}.jsonl"
    # A download tries again itself, and waits; a file that is not what it should be is not another one the next time.
    retries: 0
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        settings=prepare_settings,
        source=registered_source,
    message:
        "Preparing {wildcards.dataset}"
    shell:
        """
        createrec prepare {wildcards.dataset} --settings {params.settings:q} \
            --interactions {output.interactions:q} --summary {output.summary:q} 2>&1 | tee {log:q}
        """


rule split:
    input:
        interactions="results/data/{dataset}/interactions.parquet",
        summary="results/data/{dataset}/dataset.json",
        code=code_of("split"),
        again=other_split,
    output:
        split="results/splits/{dataset}/{setup}/split.safetensors",
        statistics="results/splits/{dataset}/{setup}/split.json",
    log:
        "logs/split/{dataset}/{setup}.log",
    benchmark:
        "results/benchmarks/split/{dataset}/{setup}.jsonl"
    retries: 0  # what cannot be split now cannot be split the next time
    threads: 1
    resources:
        mem_mb=8000,
        runtime=20,
    params:
        settings=split_settings,
    message:
        "Splitting {wildcards.dataset}, {wildcards.setup}"
    shell:
        """
        createrec split {wildcards.dataset} --setup {wildcards.setup} --settings {params.settings:q} \
            --interactions {input.interactions:q} --summary {input.summary:q} \
            --output {output.split:q} --statistics {output.statistics:q} 2>&1 | tee {log:q}
        """
