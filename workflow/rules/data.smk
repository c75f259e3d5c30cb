# From addresses to arrays: every image decoded once, every image in one split.
# Reads:  the config's datasets; a folder of the user's, or the network.
# Writes: resources/{dataset}/, results/{dataset}/{images.npy, images.parquet, masks.npy, dataset.json}


rule download:
    output:
        complete="resources/{dataset}/complete.json",
    log:
        "resources/{dataset}/download.log",
    retries: 2 if workflow.is_main_process else 0
    # here, where Snakemake runs: nodes of a cluster often have no network
    localrule: True
    conda:
        "../../envs/patchbench.yaml"
    params:
        spec=download_spec,
        about=about,
    message:
        "Downloading {wildcards.dataset}"
    shell:
        "python -m patchbench download --dataset {wildcards.dataset:q} --spec {params.spec:q}"
        " --out $(dirname {output.complete:q}) --about {params.about:q}"
        " --cost $(dirname {output.complete:q})/download.cost.json > {log:q} 2>&1"


rule prepare:
    input:
        source=lambda w: (
            rules.download.output.complete if needs_download[w.dataset] else []
        ),
    output:
        images=f"{DATASET}/images.npy",
        table=f"{DATASET}/images.parquet",
        masks=f"{DATASET}/masks.npy",
        report=f"{DATASET}/dataset.json",
        cost=f"{DATASET}/dataset.cost.json",
    log:
        f"{DATASET}/dataset.log",
    cache: SHARED
    conda:
        "../../envs/patchbench.yaml"
    params:
        spec=dataset_spec,
        source=lambda w: sources[w.dataset],
        about=about,
        code=code_of("prepare", "datasets", "dataset"),
    message:
        "Preparing the images of {wildcards.dataset}"
    shell:
        command(
            "prepare --dataset {wildcards.dataset:q} --spec {params.spec:q}"
            " --source resources/{wildcards.dataset:q} --out $(dirname {output.images:q})"
        )
