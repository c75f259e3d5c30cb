# Where networks look, and which patches are noise: maps, detectors, and what ignoring patches does.
# Reads:  fitted networks and classifiers, embeddings, patch logits
# Writes: .../{network}/maps/{explain}/, .../{classifier}/noise/{scores.npz, detection, sweep, background}


rule explain_cnn:
    input:
        state=rules.cnn.output.cnn,
        fold_states=fold_files("cnn.npz"),
        folds=fold_files("folds.parquet"),
        images=rules.prepare.output.images,
        table=rules.prepare.output.table,
        masks=rules.prepare.output.masks,
    output:
        true=f"{plan.CNN_MAPS}/true.npy",
        predicted=f"{plan.CNN_MAPS}/predicted.npy",
        table=f"{plan.CNN_MAPS}/explained.parquet",
        faithfulness=f"{plan.CNN_MAPS}/faithfulness.parquet",
        cost=f"{plan.CNN_MAPS}/explain.cost.json",
    log:
        f"{plan.CNN_MAPS}/explain.log",
    conda:
        "../../envs/patchbench.yaml"
    resources:
        **DEVICE,
    params:
        spec=spec("explain", "explain"),
        model=spec("cnns", "cnn"),
        folds=fold_options,
        device=config.get("device", "auto"),
        about=about,
        code=code_of("explain", "explain", "explain"),
    message:
        "Explaining {wildcards.cnn} on {wildcards.dataset} by {wildcards.explain} (seed {wildcards.seed})"
    shell:
        command(
            "explain --explain {wildcards.explain} --spec {params.spec:q} --model-kind cnn"
            " --model {wildcards.cnn} --model-spec {params.model:q} --state {input.state:q}"
            " {params.folds} --images {input.images:q} --masks {input.masks:q}"
            " --out $(dirname {output.table:q}) --seed {wildcards.seed} --device {params.device}"
        )


rule explain_encoder:
    input:
        state=rules.fit_encoder.output.encoder,
        images=rules.prepare.output.images,
        table=rules.prepare.output.table,
        masks=rules.prepare.output.masks,
    output:
        true=f"{plan.ENCODER_MAPS}/true.npy",
        predicted=f"{plan.ENCODER_MAPS}/predicted.npy",
        table=f"{plan.ENCODER_MAPS}/explained.parquet",
        faithfulness=f"{plan.ENCODER_MAPS}/faithfulness.parquet",
        cost=f"{plan.ENCODER_MAPS}/explain.cost.json",
    log:
        f"{plan.ENCODER_MAPS}/explain.log",
    conda:
        "../../envs/patchbench.yaml"
    resources:
        **DEVICE,
    params:
        spec=spec("explain", "explain"),
        model=spec("encoders", "encoder"),
        size=lambda w: config["patches"][w.patches]["patch_size_px"],
        limit=LIMIT,
        device=config.get("device", "auto"),
        about=about,
        code=code_of("explain", "explain", "explain"),
    message:
        "Explaining {wildcards.encoder} on {wildcards.dataset} by {wildcards.explain} (seed {wildcards.seed})"
    shell:
        command(
            "explain --explain {wildcards.explain} --spec {params.spec:q} --model-kind encoder"
            " --model {wildcards.encoder} --model-spec {params.model:q} --state {input.state:q}"
            " --patch-size-px {params.size} --splits test --limit {params.limit}"
            " --images {input.images:q} --masks {input.masks:q}"
            " --out $(dirname {output.table:q}) --seed {wildcards.seed} --device {params.device}"
        )


rule detect:
    input:
        maps=grad_cam_files,
        index=rules.index.output.index,
        images=rules.prepare.output.images,
        table=rules.prepare.output.table,
        pixels=shards_of(rules.cut.output.pixels),
        embeddings=shards_of(rules.encode.output.embeddings),
        classifier=rules.fit_classifier.output.classifier,
    output:
        scores=f"{plan.NOISE}/scores.npz",
        detection=f"{plan.NOISE}/detection.parquet",
        cost=f"{plan.NOISE}/detect.cost.json",
    log:
        f"{plan.NOISE}/detect.log",
    conda:
        "../../envs/patchbench.yaml"
    params:
        detectors=json.dumps(chosen("detectors"), sort_keys=True),
        spec=spec("classifiers", "classifier"),
        maps=grad_cam_option,
        n_folds=config["noise"]["n_folds"],
        max_fit_mib=config.get("max_fit_mib", 1024),
        about=about,
        code=lambda w: fingerprint(
            "patchbench.stages.detect",
            f"patchbench.classifiers.{config['classifiers'][w.classifier].get('type', w.classifier)}",
            *(
                f"patchbench.detectors.{detector.get('type', name)}"
                for name, detector in chosen("detectors").items()
            ),
        ),
    message:
        "Looking for noisy patches of {wildcards.dataset}: {wildcards.encoder}, {wildcards.classifier}"
    shell:
        command(
            "detect --detectors {params.detectors:q} --classifier {wildcards.classifier}"
            " --spec {params.spec:q} --state {input.classifier:q} --index {input.index:q}"
            " --images {input.images:q} --pixels {input.pixels:q} --embeddings {input.embeddings:q}"
            " {params.maps} --n-folds {params.n_folds} --max-fit-mib {params.max_fit_mib}"
            " --out $(dirname {output.scores:q}) --seed {wildcards.seed}"
        )


rule sweep:
    input:
        scores=rules.detect.output.scores,
        index=rules.index.output.index,
        table=rules.prepare.output.table,
        report=rules.index.output.report,
        embeddings=shards_of(rules.encode.output.embeddings),
        patch_logits=shards_of(rules.classify.output.patch_logits),
        classifier=rules.fit_classifier.output.classifier,
    output:
        sweep=f"{plan.NOISE}/sweep.parquet",
        cost=f"{plan.NOISE}/sweep.cost.json",
    log:
        f"{plan.NOISE}/sweep.log",
    conda:
        "../../envs/patchbench.yaml"
    params:
        spec=spec("classifiers", "classifier"),
        fractions=config["noise"]["fractions"],
        fusions=FUSIONS,
        max_fit_mib=config.get("max_fit_mib", 1024),
        about=about,
        code=lambda w: fingerprint(
            "patchbench.stages.sweep",
            f"patchbench.classifiers.{config['classifiers'][w.classifier].get('type', w.classifier)}",
            *fusion_modules("votes"),
        ),
    message:
        "Ignoring noisy patches of {wildcards.dataset}: {wildcards.encoder}, {wildcards.classifier}"
    shell:
        command(
            "sweep --classifier {wildcards.classifier} --spec {params.spec:q}"
            " --state {input.classifier:q} --index {input.index:q} --table {input.table:q}"
            " --embeddings {input.embeddings:q} --patch-logits {input.patch_logits:q}"
            " --fusions {params.fusions:q}"
            " --scores {input.scores:q} --fractions {params.fractions}"
            " --max-fit-mib {params.max_fit_mib} --out {output.sweep:q} --seed {wildcards.seed}"
        )


rule background:
    input:
        maps=grad_cam_files,
        index=rules.index.output.index,
        table=rules.prepare.output.table,
        report=rules.index.output.report,
        patch_logits=shards_of(rules.classify.output.patch_logits),
    output:
        background=f"{plan.NOISE}/background.parquet",
        cost=f"{plan.NOISE}/background.cost.json",
    log:
        f"{plan.NOISE}/background.log",
    conda:
        "../../envs/patchbench.yaml"
    params:
        maps=grad_cam_option,
        about=about,
        code=code_of("background"),
    message:
        "Splitting the votes on {wildcards.dataset} by background: {wildcards.encoder}, {wildcards.classifier}"
    shell:
        command(
            "background --index {input.index:q} --table {input.table:q}"
            " --patch-logits {input.patch_logits:q} {params.maps} --out {output.background:q} --seed {wildcards.seed}"
        )
