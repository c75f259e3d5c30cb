# From tables to a page: everything the runs measured, in one folder, drawn and told.
# Reads:  the tables of all runs of the study
# Writes: results/studies/{study}/{*.parquet, run.json, figures/, report.html}

FIGURES = [
    (dataset, figure)
    for dataset in config["benchmark"]["datasets"]
    for figure in available("figures")
]
FIGURE_MODULES = [f"patchbench.figures.{figure}" for figure in available("figures")]
PAGE_PARTS = [
    f"{SRC}/patchbench/report/{name}"
    for name in ("template.html", "style.css", "table.js")
]


rule collect:
    input:
        [
            f"{run.folder}/{table}.parquet"
            for run in plan.runs(config)
            for table in ("predictions", "metrics", "roc")
        ],
        sorted({f"{run.encoder_folder}/history.parquet" for run in plan.runs(config)}),
        plan.cost_files(config),
    output:
        metrics=STUDY + "/metrics.parquet",
        predictions=STUDY + "/predictions.parquet",
        roc=STUDY + "/roc.parquet",
        history=STUDY + "/history.parquet",
        costs=STUDY + "/costs.parquet",
        thumbnails=STUDY + "/thumbnails.npz",
        run=STUDY + "/run.json",
        cost=STUDY + "/collect.cost.json",
    log:
        STUDY + "/collect.log",
    conda:
        "../../envs/patchbench.yaml"
    params:
        config=json.dumps(config, sort_keys=True),
        about=about,
        code=code_of("collect"),
    message:
        "Collecting the tables of study {wildcards.study}"
    shell:
        "python -m patchbench collect --config {params.config:q} --out $(dirname {output.run:q})"
        + log_and_cost()


rule draw:
    input:
        rules.collect.output,
    output:
        [
            report(
                f"{STUDY}/figures/{dataset}/{figure}.svg",
                caption=f"../report/{figure}.rst",
                category=dataset,
            )
            for dataset, figure in FIGURES
        ],
        [
            f"{STUDY}/figures/{dataset}/{figure}.{kind}"
            for dataset, figure in FIGURES
            for kind in ("pdf", "png", "csv")
        ],
        cost=STUDY + "/figures/draw.cost.json",
    log:
        STUDY + "/figures/draw.log",
    conda:
        "../../envs/patchbench.yaml"
    params:
        about=about,
        code=fingerprint("patchbench.stages.draw", *FIGURE_MODULES),
    message:
        "Drawing the figures of study {wildcards.study}"
    shell:
        "python -m patchbench draw --study $(dirname {input[0]:q}) --out $(dirname {output.cost:q})"
        + log_and_cost()


rule report:
    input:
        tables=rules.collect.output,
        figures=rules.draw.output,
        parts=PAGE_PARTS,
    output:
        page=STUDY + "/report.html",
        cost=STUDY + "/report.cost.json",
    log:
        STUDY + "/report.log",
    conda:
        "../../envs/patchbench.yaml"
    params:
        about=about,
        code=fingerprint("patchbench.stages.report", *FIGURE_MODULES),
    message:
        "Writing the report of study {wildcards.study}"
    shell:
        "python -m patchbench report --study $(dirname {input.tables[0]:q})"
        " --figures $(dirname {output.page:q})/figures --out {output.page:q}"
        + log_and_cost()
