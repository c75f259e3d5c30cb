"""Decide on a prepared image as a whole: by a CNN, or by rules on the embeddings of its patches."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from patchbench import grid, plugins
from patchbench.bags import softmax
from patchbench.devices import resolve
from patchbench.embedded import EmbeddedBags
from patchbench.errors import UserError
from patchbench.io import read_state
from patchbench.networks.whole_image import open_cnn
from patchbench.patchset import refuse_holes
from patchbench.prediction.answer import Answer, Pipeline
from patchbench.prediction.run_folder import RunFolder
from patchbench.prediction.votes import Cutting, cutting_of, open_encoder
from patchbench.windows import Windows


def open_cnn_run(run: RunFolder, fusion: str | None, device: str, threads: int) -> Pipeline:
    """Restore a whole-image CNN; see :func:`patchbench.prediction.open_pipeline`."""
    if fusion is not None:
        raise UserError(f"{run.path} is a CNN, which fuses nothing; leave --fusion out")
    path = run.path / run.kind
    fixed = {"seed": run.seed, "device": resolve(device), "threads": threads}
    cnn = open_cnn(run.path.name, run.spec(path), **fixed)
    cnn.restore(run.read(path, read_state))

    def decide(windows: Windows, name: str) -> Answer:
        image = windows.read(0, 0, windows.height_px, windows.width_px)
        return Answer(softmax(cnn.predict_logits(image[None], np.arange(1)))[0])

    return Pipeline(run.classes, run.preparation, decide)


@dataclass(frozen=True)
class Pooling:
    """An encoder and a rule on embeddings, both fitted."""

    encoder: Any
    rule: Any
    cutting: Cutting

    def decide(self, windows: Windows, name: str) -> Answer:
        """Embeddings of all patches, and the decision."""
        image = windows.read(0, 0, windows.height_px, windows.width_px)
        where = self.cutting.grid(*image.shape[:2])
        ys, xs = where.ys, where.xs
        dense = hasattr(self.encoder, "takes_grid")
        if dense and self.encoder.takes_grid(ys, xs, *image.shape[:2]):
            embeddings = self.encoder.encode_grid(image[None], ys, xs)
        else:
            embeddings = self.encoder.encode(grid.cut(image, ys, xs, where.patch_size_px))
        refuse_holes(embeddings, f"the patches of {name}")
        tops, lefts = np.repeat(ys, len(xs)), np.tile(xs, len(ys))
        centers = grid.relative_centers(tops, lefts, where.patch_size_px, len(image))
        bags = EmbeddedBags.of(embeddings, np.array([len(embeddings)]), centers)
        return Answer(self.rule.fuse(bags)[0], where)


def open_pooled_run(run: RunFolder, fusion: str | None, device: str, threads: int) -> Pipeline:
    """Restore rules on embeddings; see :func:`patchbench.prediction.open_pipeline`."""
    path, cutting = run.path / run.kind, cutting_of(run)
    specs = run.spec(path)
    name = run.chosen(specs, fusion)
    fixed = {"seed": run.seed, "device": resolve(device), "threads": threads}
    rule = plugins.build("fusions", name, specs[name], **fixed)
    start, state = f"{name}/", run.read(path, read_state)
    rule.restore({k.removeprefix(start): v for k, v in state.items() if k.startswith(start)})
    encoder = open_encoder(run, cutting.patch_size_px, device, threads)
    return Pipeline(run.classes, run.preparation, Pooling(encoder, rule, cutting).decide, name)
