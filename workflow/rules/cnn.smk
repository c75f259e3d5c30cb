# What is lost against a CNN that sees the whole image: same split, as many epochs.
# Reads:  results/{dataset}/images.npy and its table
# Writes: results/{dataset}/whole-image/seed{seed}/{cnn}/, and below it folds/{fold}-of-{n_folds}/


rule cnn:
    input:
        weights=lambda w: plan_weights.cnn_weights_file(config, w.cnn) or [],
        images=rules.prepare.output.images,
        table=rules.prepare.output.table,
    output:
        cnn=f"{CNN}/cnn.npz",
        history=f"{CNN}/history.parquet",
        cost=f"{CNN}/cnn.cost.json",
    log:
        f"{CNN}/cnn.log",
    cache: SHARED
    # training takes longest, so it starts as soon as it can
    priority: 2
    conda:
        "../../envs/patchbench.yaml"
    threads: config.get("train_threads", 1)
    resources:
        **DEVICE,
    params:
        spec=spec("cnns", "cnn"),
        device=config.get("device", "auto"),
        threads_asked=config.get("train_threads", 1),
        weights=lambda w: start_from(plan_weights.cnn_weights_file(config, w.cnn)),
        fold="",
        about=about,
        code=code_of("cnn"),
    message:
        "Training {wildcards.cnn} on whole images of {wildcards.dataset} (seed {wildcards.seed})"
    shell:
        command(
            "cnn --cnn {wildcards.cnn} --spec {params.spec:q}"
            " --images {input.images:q} {params.weights} {params.fold} --out {output.cnn:q}"
            " --seed {wildcards.seed} --device {params.device}"
        )


# the same training without one fold of the train images, to explain them by a network that
# never saw them
use rule cnn as cnn_fold with:
    output:
        cnn=f"{CNN}/folds/{{fold}}-of-{{n_folds}}/cnn.npz",
        history=f"{CNN}/folds/{{fold}}-of-{{n_folds}}/history.parquet",
        folds=f"{CNN}/folds/{{fold}}-of-{{n_folds}}/folds.parquet",
        cost=f"{CNN}/folds/{{fold}}-of-{{n_folds}}/cnn.cost.json",
    log:
        f"{CNN}/folds/{{fold}}-of-{{n_folds}}/cnn.log",
    wildcard_constraints:
        fold=r"\d+",
        n_folds=r"\d+",
    params:
        fold="--fold {fold} --folds {n_folds}",
    message:
        "Training {wildcards.cnn} on {wildcards.dataset} without fold {wildcards.fold} of {wildcards.n_folds} (seed {wildcards.seed})"


rule cnn_predict:
    input:
        cnn=rules.cnn.output.cnn,
        images=rules.prepare.output.images,
        table=rules.prepare.output.table,
    output:
        predictions=f"{CNN}/predictions.parquet",
        metrics=f"{CNN}/metrics.parquet",
        roc=f"{CNN}/roc.parquet",
        cost=f"{CNN}/predictions.cost.json",
    log:
        f"{CNN}/predictions.log",
    conda:
        "../../envs/patchbench.yaml"
    resources:
        **DEVICE,
    params:
        spec=spec("cnns", "cnn"),
        device=config.get("device", "auto"),
        about=about,
        code=code_of("cnn_predict"),
    message:
        "Predicting {wildcards.dataset} with {wildcards.cnn} (seed {wildcards.seed})"
    shell:
        command(
            "cnn_predict --cnn {wildcards.cnn} --spec {params.spec:q}"
            " --state {input.cnn:q} --images {input.images:q} --out $(dirname {output.metrics:q})"
            " --seed {wildcards.seed} --device {params.device}"
        )
