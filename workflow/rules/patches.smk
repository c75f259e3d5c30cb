# From images to patches: one row a patch, in shards.
# Reads:  results/{dataset}/images.npy and its table
# Writes: results/{dataset}/{patches}/{pixels/, index.parquet, extraction.json}; the index last

CUT = (
    "cut --images {input.images:q} --out $(dirname {output.pixels:q})"
    " --patch-size-px {params.entry[patch_size_px]} --stride-px {params.entry[stride_px]}"
    " --edge {params.entry[edge]} --shard"
)
INDEX = "index --images {input.images:q} --spec {params.spec:q} --out {output.index:q} --parts"


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
        command(f"{CUT} {{wildcards.shard}}")


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
        command(f"{INDEX} {{input.parts:q}}")


ruleorder: cut_and_index > cut
ruleorder: cut_and_index > index


rule cut_and_index:
    input:
        images=rules.prepare.output.images,
        table=rules.prepare.output.table,
        masks=rules.prepare.output.masks,
    output:
        pixels=f"{PATCHES}/pixels/{ONLY_SHARD}.npy",
        part=f"{PATCHES}/pixels/{ONLY_SHARD}.parquet",
        cost=f"{PATCHES}/pixels/{ONLY_SHARD}.cost.json",
        index=f"{PATCHES}/index.parquet",
        report=f"{PATCHES}/extraction.json",
        index_cost=f"{PATCHES}/index.cost.json",
    log:
        f"{PATCHES}/pixels/{ONLY_SHARD}.log",
    wildcard_constraints:
        patches=IN_ONE_SHARD,
    conda:
        "../../envs/patchbench.yaml"
    params:
        entry=entry("patches", "patches"),
        spec=spec("patches", "patches"),
        about=about_shard,
        code=code_of("cut"),
        index_about=about,
        index_code=code_of("index"),
    message:
        "Cutting {wildcards.dataset} into patches and indexing them ({wildcards.patches})"
    shell:
        command(f"{CUT} {ONLY_SHARD}", f"{INDEX} {{output.part:q}}")
