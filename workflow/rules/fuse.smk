# From votes, or straight from embeddings, to a decision: every fusion rule, scored on test.
# Reads:  .../{classifier}/patch_logits/, or .../{encoder}/embeddings/, the patch index, images.parquet
# Writes: .../{classifier}/ and .../{encoder}/pooled/: {predictions, metrics, roc, ...}.parquet


rule fuse:
    input:
        index=rules.index.output.index,
        report=rules.index.output.report,
        table=rules.prepare.output.table,
        patch_logits=shards_of(rules.classify.output.patch_logits),
        noise=noise_scores,
    output:
        predictions=f"{CLASSIFIER}/predictions.parquet",
        metrics=f"{CLASSIFIER}/metrics.parquet",
        roc=f"{CLASSIFIER}/roc.parquet",
        fusion_tests=f"{CLASSIFIER}/fusion_tests.parquet",
        reliability=f"{CLASSIFIER}/reliability.parquet",
        fusions=f"{CLASSIFIER}/fusions.json",
        cost=f"{CLASSIFIER}/predictions.cost.json",
    log:
        f"{CLASSIFIER}/predictions.log",
    conda:
        "../../envs/patchbench.yaml"
    params:
        fusions=fusions_of,
        noise=lambda w, input: (
            f"--noise {shlex.quote(str(input.noise))}" if input.noise else ""
        ),
        calibration=config.get("calibration", "none"),
        about=about,
        code=lambda w: fingerprint(
            "patchbench.stages.fuse",
            *fusion_modules("votes"),
            *fusion_modules("noise"),
        ),
    message:
        "Fusing {wildcards.dataset} votes: {wildcards.encoder}, {wildcards.classifier}"
    shell:
        command(
            "fuse --fusions {params.fusions:q} --index {input.index:q} --table {input.table:q}"
            " --patch-logits {input.patch_logits:q} --out $(dirname {output.metrics:q})"
            " {params.noise} --calibration {params.calibration:q} --seed {wildcards.seed}"
        )


rule fit_pooling:
    input:
        index=rules.index.output.index,
        report=rules.index.output.report,
        embeddings=shards_of(rules.encode.output.embeddings),
    output:
        pooling=f"{plan.POOLED}/pooling.npz",
        cost=f"{plan.POOLED}/pooling.cost.json",
    log:
        f"{plan.POOLED}/pooling.log",
    conda:
        "../../envs/patchbench.yaml"
    threads: config.get("train_threads", 1)
    resources:
        **DEVICE,
    params:
        fusions=POOLINGS,
        max_fit_mib=config.get("max_fit_mib", 1024),
        device=config.get("device", "auto"),
        threads_asked=config.get("train_threads", 1),
        about=about,
        code=lambda w: fingerprint(
            "patchbench.stages.fit_pooling", *fusion_modules("embeddings")
        ),
    message:
        "Fitting rules on {wildcards.encoder} embeddings of {wildcards.dataset}"
    shell:
        command(
            "fit_pooling --fusions {params.fusions:q} --index {input.index:q}"
            " --embeddings {input.embeddings:q} --max-fit-mib {params.max_fit_mib}"
            " --out {output.pooling:q} --seed {wildcards.seed} --device {params.device}"
        )


rule pool:
    input:
        rival=lambda w: f"{rival(w).folder}/predictions.parquet" if rival(w) else [],
        index=rules.index.output.index,
        report=rules.index.output.report,
        table=rules.prepare.output.table,
        embeddings=shards_of(rules.encode.output.embeddings),
        pooling=rules.fit_pooling.output.pooling,
    output:
        predictions=f"{plan.POOLED}/predictions.parquet",
        metrics=f"{plan.POOLED}/metrics.parquet",
        roc=f"{plan.POOLED}/roc.parquet",
        fusion_tests=f"{plan.POOLED}/fusion_tests.parquet",
        attention=f"{plan.POOLED}/attention.npz",
        fusions=f"{plan.POOLED}/fusions.json",
        cost=f"{plan.POOLED}/predictions.cost.json",
    log:
        f"{plan.POOLED}/predictions.log",
    conda:
        "../../envs/patchbench.yaml"
    resources:
        **DEVICE,
    params:
        fusions=POOLINGS,
        rival=rival_option,
        device=config.get("device", "auto"),
        about=about,
        code=lambda w: fingerprint(
            "patchbench.stages.pool", *fusion_modules("embeddings")
        ),
    message:
        "Deciding from {wildcards.encoder} embeddings of {wildcards.dataset}"
    shell:
        command(
            "pool --fusions {params.fusions:q} --state {input.pooling:q} --index {input.index:q}"
            " --table {input.table:q} --embeddings {input.embeddings:q} {params.rival}"
            " --out $(dirname {output.metrics:q})"
            " --seed {wildcards.seed} --device {params.device}"
        )
