# From votes to a decision: every fusion rule on the patch logits of each image, scored on test.
# Reads:  .../{classifier}/patch_logits/, the patch index
# Writes: .../{classifier}/{predictions, metrics, roc, fusion_tests, reliability}.parquet, fusions.json

FUSION_MODULES = [
    f"patchbench.fusions.{fusion.get('type', name)}"
    for name, fusion in chosen("fusions").items()
]


rule fuse:
    input:
        index=rules.index.output.index,
        report=rules.index.output.report,
        patch_logits=shards_of(rules.classify.output.patch_logits),
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
        fusions=json.dumps(chosen("fusions"), sort_keys=True),
        calibration=config.get("calibration", "none"),
        about=about,
        code=fingerprint("patchbench.stages.fuse", *FUSION_MODULES),
    message:
        "Fusing {wildcards.dataset} votes: {wildcards.encoder}, {wildcards.classifier}"
    shell:
        command(
            "fuse --fusions {params.fusions:q} --index {input.index:q}"
            " --patch-logits {input.patch_logits:q} --out $(dirname {output.metrics:q})"
            " --calibration {params.calibration:q} --seed {wildcards.seed}"
        )
