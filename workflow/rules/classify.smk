# From embeddings to votes: a patch classifier learns from train patches, then every patch votes.
# Reads:  .../{encoder}/embeddings/, the patch index
# Writes: .../{encoder}/{classifier}/{classifier.npz, patch_logits/}

FIT = (
    "fit_classifier --classifier {wildcards.classifier} --spec {params.spec:q}"
    " --index {input.index:q} --embeddings {input.embeddings:q} --encoder-state {input.encoder:q}"
    " --head {params.head:q} --max-fit-mib {params.max_fit_mib} --out {output.classifier:q}"
    " --seed {wildcards.seed}"
)
CLASSIFY = (
    "classify --classifier {wildcards.classifier} --spec {params.spec:q}"
    " --embeddings {input.embeddings:q} --out {output.patch_logits:q} --seed {wildcards.seed}"
    " --state"
)


rule fit_classifier:
    input:
        index=rules.index.output.index,
        encoder=rules.fit_encoder.output.encoder,
        embeddings=shards_of(rules.encode.output.embeddings),
    output:
        classifier=f"{CLASSIFIER}/classifier.npz",
        cost=f"{CLASSIFIER}/classifier.cost.json",
    log:
        f"{CLASSIFIER}/classifier.log",
    conda:
        "../../envs/patchbench.yaml"
    params:
        spec=spec("classifiers", "classifier"),
        max_fit_mib=config.get("max_fit_mib", 1024),
        head=lambda w: json.dumps(plan.head_of(config, w.encoder)),
        about=about,
        code=code_of("fit_classifier", "classifiers", "classifier"),
    message:
        "Fitting {wildcards.classifier} on {wildcards.encoder} embeddings of {wildcards.dataset}"
    shell:
        command(FIT)


rule classify:
    input:
        classifier=rules.fit_classifier.output.classifier,
        embeddings=rules.encode.output.embeddings,
    output:
        patch_logits=f"{CLASSIFIER}/patch_logits/{{shard}}.npy",
        cost=f"{CLASSIFIER}/patch_logits/{{shard}}.cost.json",
    log:
        f"{CLASSIFIER}/patch_logits/{{shard}}.log",
    conda:
        "../../envs/patchbench.yaml"
    params:
        spec=spec("classifiers", "classifier"),
        about=about,
        code=code_of("classify", "classifiers", "classifier"),
    message:
        "Classifying {wildcards.dataset} patches: {wildcards.encoder}, {wildcards.classifier}"
    shell:
        command(f"{CLASSIFY} {{input.classifier:q}}")


ruleorder: fit_and_classify > fit_classifier
ruleorder: fit_and_classify > classify


rule fit_and_classify:
    input:
        index=rules.index.output.index,
        encoder=rules.fit_encoder.output.encoder,
        embeddings=f"{ENCODER}/embeddings/{ONLY_SHARD}.npy",
    output:
        classifier=f"{CLASSIFIER}/classifier.npz",
        cost=f"{CLASSIFIER}/classifier.cost.json",
        patch_logits=f"{CLASSIFIER}/patch_logits/{ONLY_SHARD}.npy",
        classify_cost=f"{CLASSIFIER}/patch_logits/{ONLY_SHARD}.cost.json",
    log:
        f"{CLASSIFIER}/classifier.log",
    wildcard_constraints:
        patches=IN_ONE_SHARD,
    conda:
        "../../envs/patchbench.yaml"
    params:
        spec=spec("classifiers", "classifier"),
        max_fit_mib=config.get("max_fit_mib", 1024),
        head=lambda w: json.dumps(plan.head_of(config, w.encoder)),
        about=about,
        code=code_of("fit_classifier", "classifiers", "classifier"),
        classify_about=about_shard,
        classify_code=code_of("classify", "classifiers", "classifier"),
    message:
        "Fitting {wildcards.classifier} on {wildcards.encoder} embeddings of {wildcards.dataset}, and classifying"
    shell:
        command(FIT, f"{CLASSIFY} {{output.classifier:q}}")
