# What images of growing sides take: every way to look at them, each side in a process of its own.
# Reads:  nothing; the images are drawn
# Writes: results/scaling/{way}/{task}.parquet

MEASURED = config["scaling"]


rule scale:
    output:
        scaling=f"{plan_scaling.SCALING}.parquet",
        cost=f"{plan_scaling.SCALING}.cost.json",
    log:
        f"{plan_scaling.SCALING}.log",
    conda:
        "../../envs/patchbench.yaml"
    # a time means little while other jobs compute beside it, so on one machine it gets all cores
    threads: (workflow.cores if workflow.local_exec else None) or MEASURED["threads"]
    resources:
        **DEVICE,
        mem_mb=lambda w, attempt: int(1024 * MEASURED["max_memory_gib"])
        + 1000 * attempt,
        runtime=lambda w, attempt: attempt
        * (10 + len(MEASURED["sides_px"]) * int(2 + MEASURED["max_time_s"] / 60)),
    params:
        spec=spec("ways", "way"),
        sides=MEASURED["sides_px"],
        memory=MEASURED["max_memory_gib"],
        time=MEASURED["max_time_s"],
        threads=MEASURED["threads"],
        device=config.get("device", "auto"),
        about=about,
        code=code_of("scale", "ways", "way"),
    message:
        "Measuring images of growing sides: {wildcards.way}, {wildcards.task}"
    shell:
        command(
            "scale --way {wildcards.way} --spec {params.spec:q} --task {wildcards.task}"
            " --sides-px {params.sides} --max-memory-gib {params.memory}"
            " --max-time-s {params.time} --out {output.scaling:q} --device {params.device}",
            threads="{params.threads}",
        )
