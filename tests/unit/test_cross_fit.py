"""Rules are chosen by decisions on images that they were not fitted on."""

import numpy as np

from patchbench import plugins
from patchbench.bags import Bags
from patchbench.cross_fit import deal, decide

CENTERS = np.tile([[0.0, -0.5], [0.0, 0.0], [0.0, 0.5]], (40, 1))


def noise(seed: int) -> tuple[Bags, np.ndarray]:
    """Votes that have nothing to do with the labels."""
    rng = np.random.default_rng(seed)
    return Bags(rng.normal(size=(120, 2)), np.full(40, 3), CENTERS), np.arange(40) % 2


def right(decisions: np.ndarray, labels: np.ndarray) -> float:
    return float((decisions.argmax(axis=1) == labels).mean())


class ByHeart:
    """Knows the label of every image that it has met, and says class 0 of others."""

    fitted = True

    def fit(self, bags: Bags, labels: np.ndarray) -> "ByHeart":
        self.known = dict(zip(map(bytes, bags.patch_logits[::3]), labels.tolist(), strict=True))
        return self

    def fuse(self, bags: Bags) -> np.ndarray:
        said = [self.known.get(bytes(row), 0) for row in bags.patch_logits[::3]]
        return np.eye(2)[said]


def test_a_rule_that_learns_by_heart_gains_nothing_by_it() -> None:
    bags, labels = noise(0)
    assert right(ByHeart().fit(bags, labels).fuse(bags), labels) == 1
    assert right(decide(ByHeart, bags, labels), labels) == 0.5


def test_every_image_is_decided_by_a_rule_that_has_not_met_it() -> None:
    bags, labels = noise(1)
    met = []

    class Spy:
        fitted = True

        def fit(self, bags: Bags, labels: np.ndarray) -> "Spy":
            self.known = set(map(bytes, bags.patch_logits))
            return self

        def fuse(self, bags: Bags) -> np.ndarray:
            met.extend(bytes(row) in self.known for row in bags.patch_logits)
            return np.full((len(bags.bag_sizes), 2), 0.5)

    decide(Spy, bags, labels)
    assert len(met) == 120 and not any(met)


def test_a_rule_without_a_fit_and_too_few_images_are_decided_at_once() -> None:
    bags, labels = noise(2)
    plain = plugins.build("fusions", "mean_probability", {})
    found = decide(lambda: plugins.build("fusions", "mean_probability", {}), bags, labels)
    np.testing.assert_array_equal(found, plain.fuse(bags))
    few = np.array([0] * 39 + [1])
    assert (deal(few) == -1).all()
    assert set(deal(labels).tolist()) == {0, 1, 2, 3, 4}
    rule = plugins.build("fusions", "center_gaussian", {})
    found = decide(lambda: plugins.build("fusions", "center_gaussian", {}), bags, few)
    np.testing.assert_array_equal(found, rule.fit(bags, few).fuse(bags))
