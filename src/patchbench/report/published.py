"""What became of the claims of the 2019 study, in sentences."""

from itertools import product

from patchbench import literature
from patchbench.literature import MEASURES
from patchbench.literature_claims import VERDICTS, Claim, claims, training_ratio
from patchbench.markdown import with_interval
from patchbench.study import Study

_NAMES = {"accuracy": "accuracy", "log_loss": "log-loss"}
_MINUS = "\N{MINUS SIGN}"


def sentences(study: Study, dataset: str) -> list[str]:
    """Which claims hold on a dataset, and from which weights; none where nothing is compared."""
    judged = claims(study, dataset)
    if not judged:
        return []
    found = [_networks(study)]
    words = dict(zip(VERDICTS, ("hold", "do not hold", "cannot be told"), strict=True))
    for measure, verdict in product(MEASURES, VERDICTS):
        own = [claim for claim in judged if claim.measure == measure]
        if told := [_told(claim) for claim in own if claim.verdict == verdict]:
            found.append(
                f"Of its {len(own)} claims on {_NAMES[measure]} these {words[verdict]} here: "
                f"{'; '.join(told)}."
            )
    found += [*_rests_on(judged), _logged()]
    ratio = training_ratio(study, dataset)
    if ratio is not None:
        found.append(
            f"Training BagNet-33 took {ratio[0]:.2g} times as long as ResNet-50 there, and "
            f"{ratio[1]:.2g} times here."
        )
    return found


def _networks(study: Study) -> str:
    """Which entries stand for the study's networks, and what they start from."""
    told = []
    for name, entry in literature.chosen_networks(study.run["config"]).items():
        spec = study.run["config"]["cnns"].get(entry) or {}
        start = "from ImageNet weights" if spec.get("weights") == "imagenet" else "from scratch"
        if spec.get("weights", "scratch") not in ("scratch", "imagenet"):
            start = f"from {spec['weights']}"
        if spec.get("freeze"):
            start += ", the last layer alone trained"
        told.append(f"{literature.NAMES[name]} is {entry}, {start}")
    return f"Held against the study of 2019 ({'; '.join(told)})."


def _rests_on(judged: list[Claim]) -> list[str]:
    """On how many test images the claims were judged; nothing where none was."""
    apart = max(claim.n_images for claim in judged if claim.policy == "none")
    off = max(claim.n_images for claim in judged if claim.policy != "none")
    told = [f"the two networks on {apart:,} test images"] if apart else []
    if off == apart > 0:
        told = [f"the two networks and channels set to zero on {off:,} test images"]
    elif off:
        told.append(f"channels set to zero on {off:,} {'of them' if told else 'test images'}")
    how = "each claim by its own 95 % interval, not adjusted for their number"
    return [f"Judged were {' and '.join(told)}, {how}."] if told else []


def _logged() -> str:
    """What the log of an earlier run says, on fewer test images than the poster."""
    told = [
        f"{title} {accuracy:.3f} on {n_images}"
        for name, title in literature.NAMES.items()
        for accuracy, n_images in [literature.logged(name)]
    ]
    return (
        f"The log in its repository is of another run and split: accuracy of {', of '.join(told)}."
    )


def _told(claim: Claim) -> str:
    """The claim in words, what was published, and what was found."""
    here = "not measured"
    if claim.found is not None:
        found = claim.found
        here = with_interval(found.value, found.low, found.high, sign=True)
    numbers = f"published {claim.published:+.3f}, here {here}".replace("-", _MINUS)
    return f"{claim.text} ({numbers})"
