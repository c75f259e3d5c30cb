# From images to patches: one row a patch, in shards.
# Reads:  results/{dataset}/images.npy and its table
# Writes: results/{dataset}/{patches}/{pixels/, index.parquet, extraction.json}; the index last


rule cut:
    input:
        images=rules.prepare.output.images,
        table=rules.prepare.output.table,
        masks=rules.prepare.output.masks,
    output:
        pixels=f"{PATCHES}/pixels/{{shard}}.npy",
        part=f"{PATCHES}/pixels/{{shard}}.parquet",
        cost=f"{PATCHES}/pixels/{{shard}}.cost.json",
    log:
        f"{PATCHES}/pixels/{{shard}}.log",
    conda:
        "../../envs/patchbench.yaml"
    params:
        entry=entry("patches", "patches"),
        about=about,
        code=code_of("cut"),
    message:
        "Cutting {wildcards.dataset} into patches ({wildcards.patches}, {wildcards.shard})"
    shell:
        command(
            "cut --images {input.images:q} --shard {wildcards.shard}"
            " --patch-size-px {params.entry[patch_size_px]} --stride-px {params.entry[stride_px]}"
            " --edge {params.entry[edge]} --out $(dirname {output.pixels:q})"
        )


rule index:
    input:
        parts=shards_of(f"{PATCHES}/pixels/{{shard}}.parquet"),
        images=rules.prepare.output.images,
    output:
        index=f"{PATCHES}/index.parquet",
        report=f"{PATCHES}/extraction.json",
        cost=f"{PATCHES}/index.cost.json",
    log:
        f"{PATCHES}/index.log",
    conda:
        "../../envs/patchbench.yaml"
    params:
        spec=spec("patches", "patches"),
        about=about,
        code=code_of("index"),
    message:
        "Indexing the patches of {wildcards.dataset} ({wildcards.patches})"
    shell:
        command(
            "index --parts {input.parts:q} --images {input.images:q}"
            " --spec {params.spec:q} --out {output.index:q}"
        )
