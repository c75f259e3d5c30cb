# From tables to a page: everything the runs measured, in one folder, compared, drawn and told.
# Reads:  the tables of all runs of the study
# Writes: results/studies/{study}/{*.parquet, run.json, figures/, report.html}

FIGURES = plan_figures.figures(config)
FIGURE_MODULES = sorted({f"patchbench.figures.{figure}" for _, figure in FIGURES})
PAGE_PARTS = [
    f"{SRC}/patchbench/report/{name}"
    for name in (
        "template.html",
        "browser.html",
        "methods.html",
        "scaling.html",
        "style.css",
        "browser.css",
        "table.js",
        "layers.js",
        "browser.js",
    )
]


rule collect:
    input:
        chain(*plan_files.results(config).values()),
        plan_files.costs(config),
    output:
        metrics=f"{STUDY}/metrics.parquet",
        fusion_tests=f"{STUDY}/fusion_tests.parquet",
        reliability=f"{STUDY}/reliability.parquet",
        learned=f"{STUDY}/learned.parquet",
        images=f"{STUDY}/images.parquet",
        predictions=f"{STUDY}/predictions.parquet",
        roc=f"{STUDY}/roc.parquet",
        history=f"{STUDY}/history.parquet",
        costs_of_runs=f"{STUDY}/costs_of_runs.parquet",
        embedding_map=f"{STUDY}/embedding_map.parquet",
        detection=f"{STUDY}/detection.parquet",
        sweep=f"{STUDY}/sweep.parquet",
        background=f"{STUDY}/background.parquet",
        faithfulness=f"{STUDY}/faithfulness.parquet",
        experiments=f"{STUDY}/experiments.parquet",
        scaling=f"{STUDY}/scaling.parquet",
        thumbnails=f"{STUDY}/thumbnails.npz",
        patch_thumbnails=f"{STUDY}/patch_thumbnails.npz",
        overlays=f"{STUDY}/overlays.npz",
        browser=f"{STUDY}/browser.npz",
        run=f"{STUDY}/run.json",
        class_metrics=f"{STUDY}/class_metrics.parquet",
        method_tests=f"{STUDY}/method_tests.parquet",
        seed_summary=f"{STUDY}/seed_summary.parquet",
        dataset_ranks=f"{STUDY}/dataset_ranks.parquet",
        cost=f"{STUDY}/collect.cost.json",
    log:
        f"{STUDY}/collect.log",
    conda:
        "../../envs/patchbench.yaml"
    params:
        config=json.dumps(config, sort_keys=True),
        about=about,
        code=lambda w: fingerprint(
            "patchbench.stages.collect",
            *fusion_modules("votes"),
            *fusion_modules("noise"),
        ),
    message:
        "Collecting the tables of study {wildcards.study}"
    shell:
        command(
            "collect --config {params.config:q} --out results/studies/{wildcards.study}"
        )


rule draw:
    input:
        tables=rules.collect.output,
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
        cost=f"{STUDY}/figures/draw.cost.json",
    log:
        f"{STUDY}/figures/draw.log",
    conda:
        "../../envs/patchbench.yaml"
    threads: 2
    params:
        about=about,
        code=lambda w: fingerprint("patchbench.stages.draw", *FIGURE_MODULES),
    message:
        "Drawing the figures of study {wildcards.study}"
    shell:
        command(
            "draw --study results/studies/{wildcards.study} --out $(dirname {output.cost:q})"
        )


rule report:
    input:
        tables=rules.collect.output,
        figures=rules.draw.output,
        parts=PAGE_PARTS,
    output:
        page=f"{STUDY}/report.html",
        costs=f"{STUDY}/costs.parquet",
        cost=f"{STUDY}/report.cost.json",
    log:
        f"{STUDY}/report.log",
    conda:
        "../../envs/patchbench.yaml"
    params:
        about=about,
        code=lambda w: fingerprint("patchbench.stages.report", *FIGURE_MODULES),
    message:
        "Writing the report of study {wildcards.study}"
    shell:
        command(
            "report --study results/studies/{wildcards.study}"
            " --figures results/studies/{wildcards.study}/figures --out {output.page:q}"
        )
