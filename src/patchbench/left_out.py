"""What a study asks for and cannot have, each with its reason and the way out."""

from itertools import product

from patchbench import plan
from patchbench.study import OWN_HEAD


def left_out(config: plan.Config) -> list[str]:
    """One sentence for each combination that cannot be."""
    return [
        *_encoders(config),
        *_detectors(config),
        *_experiments(config),
        *_fusions(config),
        *_classifiers(config),
        *_explanations(config),
    ]


def _encoders(config: plan.Config) -> list[str]:
    lists = config["benchmark"]
    return [
        f"{patches} was left out for one encoder: {reason}"
        for encoder, patches in product(lists["encoders"], lists["patches"])
        if (reason := plan.why_not(config, encoder, patches)) is not None
    ]


def _explanations(config: plan.Config) -> list[str]:
    lists = config["benchmark"]
    if not lists["explain"]:
        return []
    asked = any(plan.uses_of(config, classifier) == "head" for classifier in lists["classifiers"])
    headless = [name for name in lists["encoders"] if plan.head_of(config, name) is None]
    unasked = [name for name in lists["encoders"] if name not in headless and not asked]
    return [
        f"left out of the explanations: {', '.join(names)} ({why})"
        for names, why in (
            (headless, "no gradients to a class, as networks with a head of their own have"),
            (unasked, f"its own head was not asked; add {OWN_HEAD} to benchmark.classifiers"),
        )
        if names
    ]


def _detectors(config: plan.Config) -> list[str]:
    if not plan.detects(config):
        return []
    return [
        f"the detector {name} was left out: it looks at maps; name a network under noise.cnn "
        f"and {plan.GRAD_CAM} under benchmark.explain"
        for name in plan.blind_detectors(config)
    ] + [
        f"{classifier} was left out of the sweep of detectors: it cannot be fitted again on "
        "fewer patches as it is; logistic can"
        for classifier in config["benchmark"]["classifiers"]
        if plan.uses_of(config, classifier) != "nothing" and not plan.refits(config, classifier)
    ]


def _experiments(config: plan.Config) -> list[str]:
    lists = config["benchmark"]
    return [
        f"{classifier} was left out of {name}: its scores are not linear in the embedding, as "
        "those of logistic are"
        for name, classifier in product(lists["experiments"], lists["classifiers"])
        if plan.open_experiment(config, name).needs == "channels"
        and plan.uses_of(config, classifier) != "nothing"
        and not plan.linear(config, classifier)
    ]


def _fusions(config: plan.Config) -> list[str]:
    found, lists = [], config["benchmark"]
    unswept = [
        name
        for name in lists["classifiers"]
        if plan.uses_of(config, name) != "nothing" and not plan.refits(config, name)
    ]
    for name in plan.fusions_on(config, "noise"):
        detector = plan.weighs_by(config, name)
        if detector not in lists["detectors"]:
            found.append(
                f"{name} was left out: it weighs votes by what the detector {detector} says; add "
                "that to benchmark.detectors"
            )
        elif detector in plan.blind_detectors(config):
            found.append(f"{name} was left out, as the detector {detector} was")
        else:
            found += [
                f"{name} was left out of {classifier}: no detector looks at its votes"
                for classifier in unswept
            ]
    return found


def _classifiers(config: plan.Config) -> list[str]:
    lists = config["benchmark"]
    if any(plan.head_of(config, encoder) for encoder in lists["encoders"]):
        return []
    return [
        f"{classifier} was left out: none of the encoders ({', '.join(lists['encoders'])}) "
        "has a head of its own, as BagNet has"
        for classifier in lists["classifiers"]
        if plan.uses_of(config, classifier) == "head"
    ]
