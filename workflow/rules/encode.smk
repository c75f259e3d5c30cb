# From patches to embeddings: an encoder is fitted on the train split, then meets every patch;
# a few hundred test patches are mapped onto a plane, to be looked at.
# Reads:  results/{dataset}/{patches}/{index.parquet, pixels/}
# Writes: results/{dataset}/{patches}/seed{seed}/{encoder}/{encoder.npz, history.parquet, embeddings/, map.parquet}

FIT_ENCODER = (
    "fit_encoder --encoder {wildcards.encoder} --spec {params.spec:q}"
    " --patch-size-px {params.size} --images {input.images:q} --index {input.index:q}"
    " --pixels {input.pixels:q} --out {output.encoder:q}"
    " --seed {wildcards.seed} --device {params.device}"
)
ENCODE = (
    "encode --encoder {wildcards.encoder} --spec {params.spec:q}"
    " --images {input.images:q} --pixels {input.pixels:q} --out {output.embeddings:q}"
    " --seed {wildcards.seed} --device {params.device} --state"
)


rule fetch_weights:
    output:
        weights=WEIGHTS,
    log:
        f"{WEIGHTS}.log",
    retries: 2 if workflow.is_main_process else 0
    # here, where Snakemake runs: nodes of a cluster often have no network
    localrule: True
    conda:
        "../../envs/patchbench.yaml"
    params:
        url=lambda w, output: published[output.weights].url,
        about=about,
    message:
        "Fetching the published weights {wildcards.weights}"
    shell:
        "python -m patchbench fetch_weights --url {params.url:q} --out {output.weights:q}"
        " --about {params.about:q} --cost {output.weights:q}.cost.json > {log:q} 2>&1"


rule fit_encoder:
    input:
        weights=lambda w: plan_weights.weights_file(config, w.encoder, w.patches) or [],
        images=rules.prepare.output.images,
        table=rules.prepare.output.table,
        index=rules.index.output.index,
        pixels=shards_of(rules.cut.output.pixels),
    output:
        encoder=f"{ENCODER}/encoder.npz",
        history=f"{ENCODER}/history.parquet",
        cost=f"{ENCODER}/encoder.cost.json",
    log:
        f"{ENCODER}/encoder.log",
    cache: SHARED
    # training takes longest, so it starts as soon as it can
    priority: 1
    conda:
        "../../envs/patchbench.yaml"
    threads: config.get("train_threads", 1)
    resources:
        **DEVICE,
    params:
        spec=spec("encoders", "encoder"),
        size=lambda w: config["patches"][w.patches]["patch_size_px"],
        device=config.get("device", "auto"),
        threads_asked=config.get("train_threads", 1),
        weights=lambda w: start_from(
            plan_weights.weights_file(config, w.encoder, w.patches)
        ),
        about=about,
        code=code_of("fit_encoder", "encoders", "encoder"),
    message:
        "Fitting {wildcards.encoder} on {wildcards.dataset} ({wildcards.patches}, seed {wildcards.seed})"
    shell:
        command(f"{FIT_ENCODER} {{params.weights}}")


rule encode:
    input:
        encoder=rules.fit_encoder.output.encoder,
        images=rules.prepare.output.images,
        pixels=rules.cut.output.pixels,
        part=rules.cut.output.part,
    output:
        embeddings=f"{ENCODER}/embeddings/{{shard}}.npy",
        cost=f"{ENCODER}/embeddings/{{shard}}.cost.json",
    log:
        f"{ENCODER}/embeddings/{{shard}}.log",
    conda:
        "../../envs/patchbench.yaml"
    resources:
        **DEVICE,
    params:
        spec=spec("encoders", "encoder"),
        device=config.get("device", "auto"),
        about=about,
        code=code_of("encode", "encoders", "encoder"),
    message:
        "Encoding {wildcards.dataset} with {wildcards.encoder} ({wildcards.patches}, {wildcards.shard})"
    shell:
        command(f"{ENCODE} {{input.encoder:q}}")


ruleorder: fit_and_encode > fit_encoder
ruleorder: fit_and_encode > encode


# not of a network: its training is not to be done again because its embeddings are lost
rule fit_and_encode:
    input:
        images=rules.prepare.output.images,
        table=rules.prepare.output.table,
        index=rules.index.output.index,
        pixels=f"{PATCHES}/pixels/{ONLY_SHARD}.npy",
        part=f"{PATCHES}/pixels/{ONLY_SHARD}.parquet",
    output:
        encoder=f"{ENCODER}/encoder.npz",
        history=f"{ENCODER}/history.parquet",
        cost=f"{ENCODER}/encoder.cost.json",
        embeddings=f"{ENCODER}/embeddings/{ONLY_SHARD}.npy",
        encode_cost=f"{ENCODER}/embeddings/{ONLY_SHARD}.cost.json",
    log:
        f"{ENCODER}/encoder.log",
    wildcard_constraints:
        patches=IN_ONE_SHARD,
        encoder=NO_NETWORK,
    cache: SHARED
    conda:
        "../../envs/patchbench.yaml"
    params:
        spec=spec("encoders", "encoder"),
        size=lambda w: config["patches"][w.patches]["patch_size_px"],
        device="cpu",
        about=about,
        code=code_of("fit_encoder", "encoders", "encoder"),
        encode_about=about_shard,
        encode_code=code_of("encode", "encoders", "encoder"),
    message:
        "Fitting {wildcards.encoder} on {wildcards.dataset}, and encoding ({wildcards.patches}, seed {wildcards.seed})"
    shell:
        command(FIT_ENCODER, f"{ENCODE} {{output.encoder:q}}")


rule map_embeddings:
    input:
        index=rules.index.output.index,
        embeddings=shards_of(rules.encode.output.embeddings),
    output:
        map=f"{ENCODER}/map.parquet",
        cost=f"{ENCODER}/map.cost.json",
    log:
        f"{ENCODER}/map.log",
    conda:
        "../../envs/patchbench.yaml"
    params:
        about=about,
        code=code_of("map_embeddings"),
    message:
        "Mapping embeddings of {wildcards.encoder} on {wildcards.dataset} ({wildcards.patches}, seed {wildcards.seed})"
    shell:
        command(
            "map_embeddings --index {input.index:q} --embeddings {input.embeddings:q}"
            " --out {output.map:q} --seed {wildcards.seed}"
        )
