"""Columns of the tables that compare the methods of a study: all but one are per dataset.

One row of a table is about one method with its fusion rule best on val; in ``seed_summary`` of
several seeds, with each of its rules.
"""

from patchbench.columns import FLOAT, INT, N_DRAWS, RUN, STRING, Columns

_PLACE = {name: RUN[name] for name in ("patches", "encoder", "classifier", "detector")}
_SEEDS = (INT, "seed of everything fitted; -1: values of all seeds averaged in each draw")

TEST_COLUMNS: dict[str, Columns] = {
    "class_metrics": RUN
    | {
        "seed": _SEEDS,
        "label": (INT, "index of the class"),
        "class_name": (STRING, "name of the class"),
        "measure": (
            STRING,
            "auc (of the class against the rest), recall (share of its images decided rightly), "
            "precision (share of the decisions for it that are right)",
        ),
        "value": (FLOAT, "0-1, on the test split; null where undefined"),
        "low": (
            FLOAT,
            "lower end of the 95 % interval: of auc DeLong's, that takes images as independent; "
            "else bootstrap, images or their groups resampled, or exact binomial for 0 and 1",
        ),
        "high": (FLOAT, "upper end"),
        "n_positive": (INT, "test images of the class"),
        "n_negative": (INT, "test images of all others"),
        "n_draws": N_DRAWS,
        "reason": (STRING, "why the value or its interval is null; null where neither is"),
    },
    "method_tests": RUN
    | {
        "seed": _SEEDS,
        **{f"reference_{name}": column for name, column in _PLACE.items()},
        "reference_fusion": (STRING, "fusion rule of the reference, 'none' for a CNN"),
        "measure": (STRING, "auc_macro or accuracy of images"),
        "value": (FLOAT, "of the method, on the test images; null where undefined"),
        "reference_value": (FLOAT, "of the reference, on the same images"),
        "difference": (FLOAT, "value less reference_value"),
        "low": (FLOAT, "lower end of its paired 95 % bootstrap interval"),
        "high": (FLOAT, "upper end"),
        "p": (FLOAT, "two-sided bootstrap p that there is no difference, 0-1"),
        "p_holm": (
            FLOAT,
            "after Holm, over all methods of the same dataset, seed and measure",
        ),
        "second_test": (
            STRING,
            "mcnemar (exact) for accuracy, delong for auc_macro of two classes, else none; both "
            "take images as independent, also those of one group",
        ),
        "second_p": (FLOAT, "its two-sided p, 0-1"),
        "second_p_holm": (FLOAT, "after Holm, as p_holm"),
        "n_images": (INT, "test images that both decided on"),
        "n_groups": (INT, "groups of images that were resampled; n_images where there are none"),
        "n_seeds": (INT, "seeds behind the row"),
        "n_draws": N_DRAWS,
        "reason": (STRING, "what is null and why; null where nothing is"),
    },
    "seed_summary": {name: column for name, column in RUN.items() if name != "seed"}
    | {
        "metric": (STRING, "as in table metrics, of images"),
        "mean": (FLOAT, "over seeds, on the test split; null where undefined"),
        "sd": (FLOAT, "standard deviation over seeds (n - 1): what training anew changes"),
        "lowest": (FLOAT, "of the seeds"),
        "highest": (FLOAT, "of the seeds"),
        "low": (
            FLOAT,
            "lower end of the 95 % bootstrap interval of the mean, the same images or groups "
            "drawn for all seeds: what other test images would change",
        ),
        "high": (FLOAT, "upper end"),
        "n_draws": N_DRAWS,
        "n_seeds": (INT, "seeds with a value"),
        "n_images": (INT, "test images"),
        "n_groups": (INT, "groups of images that were resampled; n_images where there are none"),
        "reason": (STRING, "what is null and why; null where nothing is"),
    },
    "dataset_ranks": _PLACE
    | {
        "dataset": (STRING, "dataset on which the method was ranked"),
        "fusion": (STRING, "its rule best on the val split of that dataset"),
        "value": (FLOAT, "macro AUC of its test images, mean over seeds"),
        "rank": (FLOAT, "1 is best; ties share the mean of their ranks"),
        "mean_rank": (FLOAT, "over datasets"),
        "n_datasets": (INT, "datasets on which all these methods have a value"),
        "n_methods": (INT, "methods that were run on all of them; controls are left out"),
        "friedman_chi2": (FLOAT, "Friedman's statistic, corrected for ties"),
        "friedman_p": (FLOAT, "its p that all methods have the same mean rank"),
        "iman_davenport_f": (FLOAT, "theirs; infinite where all datasets rank alike"),
        "iman_davenport_p": (FLOAT, "its p"),
        "critical_difference": (FLOAT, "Nemenyi's: mean ranks this far apart differ, level 0.05"),
    },
}
