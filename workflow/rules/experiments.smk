# What carries a decision: parts of test images taken away or moved, on every fitted method.
# Reads:  fitted networks and classifiers, embeddings, patch logits, images
# Writes: .../{classifier}/experiments.parquet and .../whole-image/seed{seed}/{cnn}/experiments.parquet

EXPERIMENT_MODULES = [
    f"patchbench.experiments.{experiment.get('type', name)}"
    for name, experiment in chosen("experiments").items()
]


rule experiment:
    input:
        encoder=rules.fit_encoder.output.encoder,
        classifier=rules.fit_classifier.output.classifier,
        index=rules.index.output.index,
        report=rules.index.output.report,
        images=rules.prepare.output.images,
        table=rules.prepare.output.table,
        embeddings=shards_of(rules.encode.output.embeddings),
        patch_logits=shards_of(rules.classify.output.patch_logits),
    output:
        experiments=f"{CLASSIFIER}/experiments.parquet",
        cost=f"{CLASSIFIER}/experiments.cost.json",
    log:
        f"{CLASSIFIER}/experiments.log",
    conda:
        "../../envs/patchbench.yaml"
    resources:
        **DEVICE,
    params:
        experiments=experiments_of,
        encoder=spec("encoders", "encoder"),
        classifier=spec("classifiers", "classifier"),
        device=config.get("device", "auto"),
        about=about,
        code=lambda w: fingerprint(
            "patchbench.stages.experiment",
            f"patchbench.encoders.{config['encoders'][w.encoder].get('type', w.encoder)}",
            f"patchbench.classifiers.{config['classifiers'][w.classifier].get('type', w.classifier)}",
            *EXPERIMENT_MODULES,
        ),
    message:
        "Experimenting on {wildcards.dataset}: {wildcards.encoder}, {wildcards.classifier}"
    shell:
        command(
            "experiment --experiments {params.experiments:q} --images {input.images:q}"
            " --encoder {wildcards.encoder} --encoder-spec {params.encoder:q}"
            " --encoder-state {input.encoder:q} --classifier {wildcards.classifier}"
            " --classifier-spec {params.classifier:q} --classifier-state {input.classifier:q}"
            " --index {input.index:q} --embeddings {input.embeddings:q}"
            " --patch-logits {input.patch_logits:q} --out {output.experiments:q}"
            " --seed {wildcards.seed} --device {params.device}"
        )


rule experiment_cnn:
    input:
        cnn=rules.cnn.output.cnn,
        images=rules.prepare.output.images,
        table=rules.prepare.output.table,
    output:
        experiments=f"{CNN}/experiments.parquet",
        cost=f"{CNN}/experiments.cost.json",
    log:
        f"{CNN}/experiments.log",
    conda:
        "../../envs/patchbench.yaml"
    resources:
        **DEVICE,
    params:
        experiments=experiments_of,
        spec=spec("cnns", "cnn"),
        device=config.get("device", "auto"),
        about=about,
        code=lambda w: fingerprint("patchbench.stages.experiment", *EXPERIMENT_MODULES),
    message:
        "Experimenting on {wildcards.dataset}: {wildcards.cnn} (seed {wildcards.seed})"
    shell:
        command(
            "experiment --experiments {params.experiments:q} --images {input.images:q}"
            " --cnn {wildcards.cnn} --cnn-spec {params.spec:q} --cnn-state {input.cnn:q}"
            " --out {output.experiments:q} --seed {wildcards.seed} --device {params.device}"
        )
