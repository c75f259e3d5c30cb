"""Networks over the patches of an image: from embeddings and places to class scores.

Each takes embeddings (n, m, dim), places (n, m, 2) from -1 to 1, and ``there`` (n, m), true where
an image has a patch; it gives logits (n, n_classes) and how much each patch was attended to
(n, m), not negative, summing to 1 over the patches that are there.
"""

import torch
from torch import Tensor, nn

_WAVES = 4  # of the position code: half a period to four over the image


class AttentionPooling(nn.Module):
    """A learned weighted mean of embeddings, then linear.

    Ilse, Tomczak & Welling, "Attention-based deep multiple instance learning", ICML 2018,
    arXiv:1802.04712; ``gated`` multiplies the scoring layer by a sigmoid gate.
    """

    def __init__(self, dim: int, n_classes: int, width: int, dropout: float, gated: bool) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(dim, width), nn.ReLU(), nn.Dropout(dropout))
        self.score = Scores(width, gated)
        self.head = nn.Linear(width, n_classes)

    def forward(self, x: Tensor, places: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and attention."""
        hidden = self.embed(x)
        attention = self.score(hidden, there)
        return self.head((attention[:, :, None] * hidden).sum(dim=1)), attention


class AdditivePooling(nn.Module):
    """A sum of what every patch says by itself, weighted before it speaks.

    Javed et al., "Additive MIL: intrinsically interpretable multiple instance learning for
    pathology", NeurIPS 2022, arXiv:2206.01794: logits are the sum over patches of a network of
    attention times embedding, so a patch's part in the decision is known exactly.
    """

    def __init__(self, dim: int, n_classes: int, width: int, dropout: float) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(dim, width), nn.ReLU(), nn.Dropout(dropout))
        self.score = Scores(width, gated=True)
        self.speak = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, n_classes)
        )

    def forward(self, x: Tensor, places: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and attention."""
        hidden = self.embed(x)
        attention = self.score(hidden, there)
        n_patches = there.sum(dim=1)[:, None, None]
        # times the number of patches, so that equal attention leaves embeddings as they are
        parts = self.speak(n_patches * attention[:, :, None] * hidden) * there[:, :, None]
        return parts.sum(dim=1) / n_patches[:, 0], attention


class PositionTransformer(nn.Module):
    """Self-attention among embeddings that know their place, then their mean, then linear.

    The encoder of Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021,
    arXiv:2010.11929, on patch embeddings; the place is a code of sines and cosines (Vaswani et
    al. 2017, arXiv:1706.03762), and the mean of all patches is read in place of a class token.
    """

    def __init__(
        self, dim: int, n_classes: int, width: int, dropout: float, n_layers: int, n_heads: int
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(dim, width)
        self.place = nn.Linear(4 * _WAVES, width)
        self.blocks = nn.ModuleList(Block(width, n_heads, dropout) for _ in range(n_layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, n_classes)

    def forward(self, x: Tensor, places: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and how much the last layer looks at each patch, mean over who looks."""
        hidden = self.embed(x) + self.place(position_code(places))
        looked = there.float()
        for block in self.blocks:
            hidden, looked = block(hidden, there)
        mean = _mean(self.norm(hidden), there)
        return self.head(mean), _mean(looked, there)


class Scores(nn.Module):
    """How much to attend to each patch: softmax over those that are there."""

    def __init__(self, width: int, gated: bool) -> None:
        super().__init__()
        self.content = nn.Linear(width, width // 2)
        self.gate = nn.Linear(width, width // 2) if gated else None
        self.score = nn.Linear(width // 2, 1, bias=False)

    def forward(self, hidden: Tensor, there: Tensor) -> Tensor:
        """Attention, (n, m)."""
        found = torch.tanh(self.content(hidden))
        if self.gate is not None:
            found = found * torch.sigmoid(self.gate(hidden))
        scores = self.score(found)[:, :, 0].masked_fill(~there, -torch.inf)
        return torch.softmax(scores, dim=1)


class Block(nn.Module):
    """One layer of a transformer encoder, normalised first."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.before_looking, self.before_thinking = nn.LayerNorm(width), nn.LayerNorm(width)
        self.look = nn.MultiheadAttention(width, n_heads, batch_first=True)
        self.think = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """New embeddings, and how much each patch (n, m, .) looks at each (n, ., m)."""
        x = self.before_looking(hidden)
        found, looked = self.look(x, x, x, key_padding_mask=~there)
        hidden = hidden + self.drop(found)
        return hidden + self.drop(self.think(self.before_thinking(hidden))), looked


def position_code(places: Tensor) -> Tensor:
    """Sines and cosines of places (n, m, 2), from slow to fast: (n, m, 4 * waves)."""
    rates = torch.pi / 2 * 2.0 ** torch.arange(_WAVES, device=places.device)
    angles = (places[..., None] * rates).flatten(2)
    return torch.cat([torch.sin(angles), torch.cos(angles)], dim=2)


def _mean(values: Tensor, there: Tensor) -> Tensor:
    """Mean over the patches that are there: (n, width) from (n, m, width)."""
    weights = there.float()[:, :, None]
    return (values * weights).sum(dim=1) / weights.sum(dim=1)
