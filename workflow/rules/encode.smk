# From patches to embeddings: an encoder is fitted on the train split, then meets every patch.
# Reads:  results/{dataset}/{patches}/{index.parquet, pixels/}
# Writes: results/{dataset}/{patches}/seed{seed}/{encoder}/{encoder.npz, history.parquet, embeddings/}


rule fit_encoder:
    input:
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
    conda:
        "../../envs/patchbench.yaml"
    threads: config.get("train_threads", 1)
    params:
        spec=spec("encoders", "encoder"),
        size=lambda w: config["patches"][w.patches]["patch_size_px"],
        device=config.get("device", "auto"),
        threads_asked=config.get("train_threads", 1),
        about=about,
        code=code_of("fit_encoder", "encoders", "encoder"),
    message:
        "Fitting {wildcards.encoder} on {wildcards.dataset} ({wildcards.patches}, seed {wildcards.seed})"
    shell:
        command(
            "fit_encoder --encoder {wildcards.encoder} --spec {params.spec:q}"
            " --patch-size-px {params.size} --images {input.images:q} --index {input.index:q}"
            " --pixels {input.pixels:q} --out {output.encoder:q}"
            " --seed {wildcards.seed} --device {params.device}"
        )


rule encode:
    input:
        encoder=rules.fit_encoder.output.encoder,
        pixels=rules.cut.output.pixels,
    output:
        embeddings=f"{ENCODER}/embeddings/{{shard}}.npy",
        cost=f"{ENCODER}/embeddings/{{shard}}.cost.json",
    log:
        f"{ENCODER}/embeddings/{{shard}}.log",
    conda:
        "../../envs/patchbench.yaml"
    params:
        spec=spec("encoders", "encoder"),
        device=config.get("device", "auto"),
        about=about,
        code=code_of("encode", "encoders", "encoder"),
    message:
        "Encoding {wildcards.dataset} with {wildcards.encoder} ({wildcards.patches}, {wildcards.shard})"
    shell:
        command(
            "encode --encoder {wildcards.encoder} --spec {params.spec:q}"
            " --state {input.encoder:q} --pixels {input.pixels:q} --out {output.embeddings:q}"
            " --seed {wildcards.seed} --device {params.device}"
        )
