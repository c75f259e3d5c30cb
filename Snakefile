# From images to figures: every image becomes a grid of patches, each patch a row,
# each row a vote, the votes a decision. The chapters below are read in that order.
from snakemake.utils import min_version

min_version("9.0")


configfile: workflow.source_path("config.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/options.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/patches.smk"
include: "workflow/rules/encode.smk"
include: "workflow/rules/classify.smk"
include: "workflow/rules/fuse.smk"
include: "workflow/rules/cnn.smk"
include: "workflow/rules/noise.smk"
include: "workflow/rules/experiments.smk"
include: "workflow/rules/scaling.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        expand(rules.report.output.page, study=config["study"]),
        [f"{run.folder}/metrics.parquet" for run in plan.runs(config)],
