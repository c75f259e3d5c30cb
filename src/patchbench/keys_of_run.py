"""Keys of a study's ``run.json`` and what they mean: the contract of that file.

Names of inner keys stand behind those of outer ones, with dots between; in braces is what differs
from study to study.
"""

KEYS = {
    "study": "name of the study; ends with '(unfinished)' where runs are missing",
    "unfinished": "how many of its runs are here; empty if all are",
    "date": "day on which the tables were collected, UTC",
    "commit": "commit of that, '-dirty' if files were changed since; empty if unknown",
    "command": "command line that the workflow was started with; empty if a stage ran by hand",
    "host.cpu": "processor of the machine that collected them; those of jobs are in table costs",
    "host.cores": "cores that the collection could use",
    "host.memory_gib": "memory of the machine, GiB; null where it is not told",
    "host.os": "operating system",
    "versions": "of patchbench, Python and the packages that compute, by name",
    "config": "the whole config of the study, all overlays and defaults in it",
    "left_out": "list: what the config asks for that cannot be, or was not, run, and why",
    "commands.{i}.stage": "stages whose jobs came before the tables, one by one",
    "commands.{i}.n_jobs": "jobs of the stage",
    "commands.{i}.wall_s": "their elapsed time, added up, without starting Python",
    "commands.{i}.cpu_s": "their processor time, user and system, over all threads, added up",
    "commands.{i}.command": "exact command line of the first of them",
    "datasets.{dataset}.name": "entry of the config's datasets",
    "datasets.{dataset}.classes": "names of the classes, in the order of their labels",
    "datasets.{dataset}.n_images": "images by split and class",
    "datasets.{dataset}.n_enlarged": "images that were smaller than the side they were brought to",
    "datasets.{dataset}.n_duplicates": "images that are another one's copy, pixel for pixel",
    "datasets.{dataset}.n_duplicates_across_splits": "pictures that more than one split holds",
    "datasets.{dataset}.masks": "whether there are masks of the objects",
    "datasets.{dataset}.left_out": "list: `image_id` of each image left out, and the `reason`",
    "datasets.{dataset}.summary": "what the dataset is",
    "datasets.{dataset}.licence": "its licence",
    "datasets.{dataset}.settings": "settings that it was prepared with, defaults too",
    "extraction.{dataset/patches}.n_images": "images that were cut",
    "extraction.{dataset/patches}.n_patches": "patches in all",
    "extraction.{dataset/patches}.patches_per_image": "patches of an image",
    "extraction.{dataset/patches}.grid": "rows and columns of the patch grid",
    "extraction.{dataset/patches}.patch_size_px": "side of a patch",
    "extraction.{dataset/patches}.image_size_px": "side of an image",
    "extraction.{dataset/patches}.share_of_image_covered": "share of its pixels in a patch, 0-1",
    "extraction.{dataset/patches}.share_of_patches_all_background": (
        "share of patches without any object, 0-1; null without masks"
    ),
    "methods.{section}.{entry}.control": "whether the method is a control",
    "methods.{section}.{entry}.summary": "what it is; sections are those of the config",
    "methods.{section}.{entry}.source": "its paper; empty where there is none",
    "methods.{section}.{entry}.chosen": "settings that the config sets",
    "methods.{section}.{entry}.defaults": "settings that it leaves as they are",
    "provenance": "stage, fingerprint of its code and versions that the file was written by",
    "sha256": "checksum of all other keys",
}
