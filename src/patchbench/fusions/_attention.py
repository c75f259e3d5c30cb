"""Networks over an image's patches, trained on embeddings of train, the epoch chosen on val."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from patchbench.bags import softmax
from patchbench.checks import check_counts
from patchbench.embedded import EmbeddedBags
from patchbench.fusions._stacking import refuse_missing_classes
from patchbench.networks.settings import (
    Plan,
)
from patchbench.seeds import derive

if TYPE_CHECKING:
    from torch import Tensor, nn

# train patches that the directions of most variance are found from
_N_DIRECTIONS_FROM = 20_000
_INFERENCE_BATCH = 64
_PAIRS_AT_ONCE = 2**23


@dataclass(kw_only=True)
class Attention(ABC):
    """A network over the bag; subclasses say which.

    Parameters
    ----------
    n_components : int
        Embeddings are reduced to so many directions of most variance (PCA) beforehand.
    width : int
        Values a patch has inside the network.
    dropout : float
        Share of them that is dropped while training, from 0 to below 1.
    epochs, batch_size, lr, weight_decay
        See :class:`~patchbench.networks.settings.Plan`; a batch is of images.
    """

    n_components: int = 128
    width: int = 64
    dropout: float = 0.25
    epochs: int = 40
    batch_size: int = 32
    lr: float = 0.001
    weight_decay: float = 0.05
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    plan: Plan = field(init=False, repr=False)
    uses: ClassVar[str] = "embeddings"
    fitted: ClassVar[bool] = True
    flips: ClassVar[bool] = False  # whether places are mirrored, half of the time

    def __post_init__(self) -> None:
        check_counts(n_components=self.n_components, width=self.width, epochs=self.epochs)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; give a number from 0 to below 1")
        self.plan = Plan(
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            weight_decay=self.weight_decay,
        )

    def fit(
        self,
        train: EmbeddedBags,
        labels: np.ndarray,
        val: EmbeddedBags,
        val_labels: np.ndarray,
        n_classes: int,
    ) -> Self:
        """Train on train images; the epoch with the lowest log-loss on val stays."""
        import torch
        from torch.nn import functional

        from patchbench.networks.reproducible import reproducible
        from patchbench.networks.training import train as run_training

        rule = type(self).__module__.rpartition(".")[2]
        refuse_missing_classes(labels, n_classes, rule, "train")
        seed = derive(self.seed, "fusion", rule)
        with reproducible(seed, self.threads):
            self._directions(train, seed)
            self._n_classes = n_classes
            self._network = self._built(n_classes)
            # labels may be a table's own memory, closed to writing, of which PyTorch would warn
            items, classes = self._reduced(train), torch.tensor(labels, device=self.device)
            val_items, val_classes = self._reduced(val), torch.tensor(val_labels)

            def batch_loss(images: np.ndarray, rng: np.random.Generator) -> "Tensor":
                x, places, there = items.batch(images, self.device)
                if self.flips:
                    places[torch.from_numpy(rng.random(len(images)) < 0.5), :, 1] *= -1
                logits = self._network(x, places, there)[0]
                return functional.cross_entropy(logits, classes[torch.from_numpy(images)])

            def validation() -> dict[str, float]:
                if not len(val_labels):
                    return {}
                logits = torch.from_numpy(self._decided(val_items)[0])
                return {"loss": functional.cross_entropy(logits, val_classes).item()}

            history = run_training(
                self._network, batch_loss, len(labels), validation, self.plan, seed, rule
            )
        self.epoch = int(history.loc[history["kept"], "epoch"].iloc[0])
        return self

    def fuse(self, bags: EmbeddedBags) -> np.ndarray:
        """Probabilities of each image: float64 array, (n_images, n_classes)."""
        return softmax(self._asked(bags)[0])

    def attention(self, bags: EmbeddedBags) -> np.ndarray:
        """How much each patch was attended to; sums to 1 in each image: float32 (n_patches,)."""
        return self._asked(bags)[1]

    @property
    def chosen(self) -> dict[str, float]:
        """What was fitted, apart from the weights."""
        return {"epoch": self.epoch}

    def state(self) -> dict[str, np.ndarray]:
        """Everything learned, as named arrays."""
        from patchbench.networks.weights import to_arrays

        return to_arrays(self._network) | {
            "mean": self._mean,
            "directions": self._basis,
            "n_classes": np.array(self._n_classes),
            "epoch": np.array(self.epoch),
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> Self:
        """Take back what :meth:`state` gave."""
        from patchbench.networks.weights import from_arrays

        self._mean, self._basis = state["mean"], state["directions"]
        self._n_classes, self.epoch = int(state["n_classes"]), int(state["epoch"])
        self._network = self._built(self._n_classes)
        from_arrays(self._network, state)
        self._network.eval()
        return self

    def _directions(self, train: EmbeddedBags, seed: int) -> None:
        """Find the directions of most variance, scaled so that values are around 1."""
        from sklearn.decomposition import PCA

        from patchbench.features import column_statistics, standardise

        n_patches = int(train.bag_sizes.sum())
        rng = np.random.default_rng(seed)
        n_drawn = min(_N_DIRECTIONS_FROM, n_patches)
        rows = train.take(np.sort(rng.choice(n_patches, n_drawn, replace=False)))
        self._mean, scale = column_statistics(rows)
        kept = min(self.n_components, *rows.shape)
        found = PCA(kept, svd_solver="covariance_eigh").fit(standardise(rows, self._mean, scale))
        spread = np.sqrt(found.explained_variance_.mean())
        basis = found.components_.T / (scale[:, None] * max(float(spread), 1e-6))
        self._basis = np.ascontiguousarray(basis, np.float32)

    def _reduced(self, bags: EmbeddedBags) -> "_Items":
        rows = np.empty((len(bags.centers), self._basis.shape[1]), np.float32)
        for _, part, embeddings in bags.chunks():
            rows[part] = (embeddings - self._mean) @ self._basis
        return _Items(rows, bags.starts, bags.bag_sizes, bags.centers.astype(np.float32))

    def _built(self, n_classes: int) -> "nn.Module":
        return self._build(self._basis.shape[1], n_classes).to(self.device)

    @abstractmethod
    def _build(self, dim: int, n_classes: int) -> "nn.Module":
        """Network from embeddings of ``dim`` numbers to logits of ``n_classes`` classes."""

    def _asked(self, bags: EmbeddedBags) -> tuple[np.ndarray, np.ndarray]:
        import torch

        from patchbench.networks.reproducible import reproducible

        with reproducible(self.seed, self.threads), torch.inference_mode():
            return self._decided(self._reduced(bags))

    def _decided(self, items: "_Items") -> tuple[np.ndarray, np.ndarray]:
        """Logits (n_images, n_classes) and attention (n_patches,), a few images at a time."""
        logits, attention = [], []
        # every patch may look at every other
        at_once = max(1, min(_INFERENCE_BATCH, _PAIRS_AT_ONCE // int(items.sizes.max()) ** 2))
        for start in range(0, len(items.starts), at_once):
            images = np.arange(start, min(start + at_once, len(items.starts)))
            x, places, there = items.batch(images, self.device)
            found, looked = self._network(x, places, there)
            logits.append(found.cpu().numpy())
            attention.append(looked[there].cpu().numpy())
        return np.concatenate(logits), np.concatenate(attention)


@dataclass(frozen=True)
class _Items:
    """Reduced embeddings of several images, handed out as padded batches."""

    rows: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    centers: np.ndarray

    def batch(self, images: np.ndarray, device: str) -> "tuple[Tensor, Tensor, Tensor]":
        """Embeddings (n, m, dim), places (n, m, 2), and where there is a patch (n, m)."""
        import torch

        place = np.arange(self.sizes[images].max())
        there = place < self.sizes[images][:, None]
        rows = np.where(there, self.starts[images][:, None] + place, 0)
        arrays: tuple[Any, ...] = (self.rows[rows], self.centers[rows], there)
        x, places, mask = (torch.from_numpy(array).to(device) for array in arrays)
        return x, places, mask
