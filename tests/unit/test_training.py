"""The training loop, again after a kill, what it feeds networks, and the whole-image CNN."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from patchbench.errors import UserError
from patchbench.io import write_state
from patchbench.networks.augment import augmented
from patchbench.networks.course import Checkpoint
from patchbench.networks.folding import folded
from patchbench.networks.pixels import Scale
from patchbench.networks.reproducible import reproducible
from patchbench.networks.settings import Augmentation, Plan
from patchbench.networks.tile2vec import Tile2Vec
from patchbench.networks.training import train
from patchbench.networks.triplets import Triplets, triplet_loss
from patchbench.networks.weights import from_arrays, to_arrays
from patchbench.networks.whole_image import WholeImageCnn

UNCHANGED = Augmentation(crop=1.0, flip=False, jitter=0.0)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, 40, 32, 3), dtype=np.uint8)


def test_the_epoch_with_the_lowest_val_loss_is_kept():
    network = nn.Linear(1, 1, bias=False)
    seen, losses = [], iter([3.0, 1.0, 2.0])

    def validation():
        assert not network.training
        seen.append(network.weight.item())
        return {"loss": next(losses)}

    plan = Plan(epochs=3, batch_size=2, lr=0.1)
    history = train(
        network, lambda rows, rng: network(torch.ones(1, 1)).sum(), 4, validation, plan, 0, "toy"
    )
    assert network.weight.item() == seen[1]
    assert len(set(seen)) == 3
    assert history.loc[history["kept"], "epoch"].unique().tolist() == [2]
    assert not network.training


def test_every_item_is_used_once_an_epoch_and_no_batch_is_tiny():
    network = nn.Linear(1, 1)
    batches = []

    def batch_loss(rows, rng):
        batches.append(rows)
        return network(torch.ones(1, 1)).sum()

    history = train(network, batch_loss, 9, dict, Plan(epochs=1, batch_size=4, lr=0.1), 0, "toy")
    assert sorted(np.concatenate(batches)) == list(range(9))
    assert [len(rows) for rows in batches] == [5, 4]
    assert history["kept"].all(), "without val the last epoch is kept"


def test_fewer_items_than_a_batch_still_train():
    network = nn.Linear(1, 1)
    plan = Plan(epochs=1, batch_size=50, lr=0.1)
    history = train(
        network, lambda rows, rng: network(torch.ones(1, 1)).sum(), 3, dict, plan, 0, ""
    )
    assert len(history) == 1


def test_a_loss_that_is_no_number_names_the_way_out():
    network = nn.Linear(1, 1)
    plan = Plan(epochs=2, batch_size=2, lr=0.5)
    with pytest.raises(UserError, match=r"training toy: .* epoch 1; lower lr \(now 0.5\)"):
        train(
            network,
            lambda rows, rng: network(torch.ones(1, 1)).sum() * np.nan,
            4,
            dict,
            plan,
            0,
            "toy",
        )


def test_reproducible_leaves_pytorch_as_it_was():
    before = torch.get_rng_state(), torch.get_num_threads()
    with reproducible(seed=5, threads=1):
        first = torch.rand(3)
        assert torch.are_deterministic_algorithms_enabled()
    with reproducible(seed=5, threads=1):
        assert torch.equal(torch.rand(3), first)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    assert not torch.are_deterministic_algorithms_enabled()


def test_augmentation_without_changes_gives_the_pixels(images):
    out = augmented(images, UNCHANGED, np.random.default_rng(0))
    assert out.dtype == torch.float32
    np.testing.assert_array_equal(out.permute(0, 2, 3, 1).numpy(), images)


def test_crops_and_flips_only_choose_pixels(images):
    rng = np.random.default_rng(0)
    out = augmented(images[:1].repeat(40, axis=0), Augmentation(crop=0.5, jitter=0.0), rng)
    crops = out.permute(0, 2, 3, 1).numpy()
    assert crops.shape == (40, 20, 16, 3)
    places = [(y, x) for y in range(21) for x in range(17)]
    windows = {images[0, y : y + 20, x : x + 16].astype("f4").tobytes() for y, x in places}
    found = [
        (crop.tobytes() in windows, np.ascontiguousarray(crop[:, ::-1]).tobytes() in windows)
        for crop in crops
    ]
    assert all(plain or mirrored for plain, mirrored in found)
    assert 5 < sum(plain for plain, _ in found) < 35


def test_jitter_keeps_images_apart_and_is_drawn_per_image(images):
    out = augmented(
        images[:1].repeat(2, axis=0), Augmentation(jitter=0.3), np.random.default_rng(0)
    )
    assert not torch.allclose(out[0], out[1])
    assert torch.isfinite(out).all()


def test_scale_is_that_of_the_chosen_rows(images):
    scale = Scale.of(images, np.array([1, 4]))
    chosen = images[[1, 4]].astype(float)
    np.testing.assert_allclose(scale.mean, chosen.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(scale.deviation, chosen.std(axis=(0, 1, 2)), rtol=1e-6)
    out = scale.tensor(images[[1, 4]], "cpu")
    assert out.shape == (2, 3, 40, 32)
    np.testing.assert_allclose(out.mean(dim=(0, 2, 3)), 0, atol=1e-5)


def test_triplets_have_a_near_neighbour_and_another_image(images):
    triplets = Triplets(images, np.array([2, 5, 9]), tile_px=8, radius_px=4)
    places = triplets.draw(300, np.random.default_rng(0))
    anchor, neighbour, distant = places.transpose(1, 0, 2)
    assert set(anchor[:, 0]) == {2, 5, 9}
    assert (anchor[:, 0] == neighbour[:, 0]).all()
    assert (anchor[:, 0] != distant[:, 0]).all()
    assert np.abs(anchor - neighbour)[:, 1:].max() == 4
    assert places[..., 1].min() == 0
    assert places[..., 1].max() == 40 - 8
    assert places[..., 2].max() == 32 - 8
    tiles = triplets.cut(places[:3])
    assert tiles.shape == (9, 8, 8, 3)
    row, y, x = places[1, 2]
    np.testing.assert_array_equal(tiles[6 + 1], images[row, y : y + 8, x : x + 8])


def test_triplets_of_one_image_are_refused(images):
    with pytest.raises(UserError, match="at least 2 images, but there are 1"):
        Triplets(images, np.array([3]), 8, 4).draw(2, np.random.default_rng(0))


def test_a_distant_tile_in_the_same_image_is_beyond_the_radius_along_both_axes(images):
    triplets = Triplets(images, np.array([3, 4]), tile_px=8, radius_px=4, distant="anywhere")
    anchor, _, distant = triplets.draw(500, np.random.default_rng(0)).transpose(1, 0, 2)
    same = anchor[:, 0] == distant[:, 0]
    assert 150 < same.sum() < 350
    apart = np.abs(anchor[same, 1:] - distant[same, 1:])
    assert apart.min() == 5
    assert distant[:, 1:].min() >= 0
    assert (distant[:, 1:] <= np.array(images.shape[1:3]) - 8).all()


def test_one_large_image_is_enough_for_distant_tiles_anywhere(images):
    triplets = Triplets(images, np.array([3]), 8, 4, "anywhere")
    assert triplets.draw(5, np.random.default_rng(0)).shape == (5, 3, 3)
    with pytest.raises(UserError, match="at least 2 images"):
        Triplets(images, np.array([3]), 8, 40, "anywhere").draw(2, np.random.default_rng(0))


def test_triplet_loss_is_the_hinge_plus_the_lengths():
    anchor, near, far = ([[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 2.0]])
    embeddings = torch.tensor(anchor + near + far)
    assert triplet_loss(embeddings, 10.0, 0.0).item() == pytest.approx(5 - 2 + 10)
    assert triplet_loss(embeddings, 10.0, 0.1).item() == pytest.approx(13 + 0.1 * (0 + 5 + 2))


def test_published_tile2vec_has_five_stages_of_two_blocks():
    with torch.device("meta"):
        network = Tile2Vec()
    assert len(network.blocks) == 10
    assert network(torch.empty(2, 3, 50, 50, device="meta")).shape == (2, 512)
    assert [b.conv1.stride[0] for b in network.blocks] == [1, 1, 2, 1, 2, 1, 2, 1, 2, 1]


def test_folded_tile2vec_is_the_same_function():
    torch.manual_seed(0)
    network = Tile2Vec(dim=8, width=4)
    network(torch.randn(8, 3, 20, 20) * 2 + 1)
    tiles = torch.randn(3, 3, 20, 20)
    with torch.inference_mode():
        expected = network.eval()(tiles)
        torch.testing.assert_close(folded(network)(tiles), expected, atol=1e-5, rtol=1e-5)


def test_weights_of_another_architecture_are_refused():
    arrays = to_arrays(Tile2Vec(dim=8, width=4))
    with pytest.raises(UserError, match="other layers than the settings ask for; fit it again"):
        from_arrays(Tile2Vec(dim=8, width=2), arrays)


def test_cnn_trains_predicts_and_comes_back_the_same(images):
    def build() -> WholeImageCnn:
        return WholeImageCnn(epochs=1, batch_size=4, precision="float32")

    labels = np.arange(12) % 3
    train_rows, val_rows = np.arange(8), np.arange(8, 12)
    cnn = build()
    history = cnn.fit(images, train_rows, labels[:8], val_rows, labels[8:], 3)
    assert set(history["measure"]) == {"loss", "accuracy"}
    logits = cnn.predict_logits(images, val_rows)
    assert logits.shape == (4, 3)
    assert logits.dtype == np.float32
    again = build()
    again.restore(cnn.state())
    np.testing.assert_array_equal(again.predict_logits(images, val_rows), logits)
    repeated = build()
    repeated.fit(images, train_rows, labels[:8], val_rows, labels[8:], 3)
    np.testing.assert_array_equal(repeated.predict_logits(images, val_rows), logits)


def test_an_unknown_cnn_is_refused():
    with pytest.raises(ValueError, match="resnet18, resnet50, vgg16_bn"):
        WholeImageCnn(type="resnet19")


@pytest.mark.parametrize("n_epochs", [1, 2, 4, 5, 6])
def test_any_number_of_steps_can_be_planned(n_epochs: int) -> None:
    network = torch.nn.Linear(2, 1)
    history = train(
        network,
        lambda rows, rng: network(torch.ones(len(rows), 2)).square().mean(),
        8,
        lambda: {"loss": 1.0},
        Plan(epochs=n_epochs, batch_size=8, lr=0.01),
        0,
        "a line",
    )
    assert history["epoch"].max() == n_epochs


# toy trainings take less time than their files
kept_always = partial(Checkpoint, most_share=math.inf)


class KilledError(Exception):
    """Stands for whatever ends a job."""


N_EPOCHS = 5


def train_a_net(
    checkpoint: Checkpoint | None,
    *,
    killed_in: int | None = None,
    schedule: str = "one-cycle",
    with_val: bool = True,
    lr: float = 0.05,
) -> tuple[dict[str, np.ndarray], pd.DataFrame, list[int]]:
    """Weights, history and the epochs trained, of a net with batch norm, dropout and noise."""
    trained: list[int] = []
    with reproducible(3, threads=1):
        layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten())
        network = nn.Sequential(*layers, nn.Linear(64, 2)).to(memory_format=torch.channels_last)
        images = torch.rand(10, 3, 6, 6)
        if checkpoint is not None:
            checkpoint = checkpoint.bound_to(images.numpy())

        def batch_loss(rows, rng):
            noise = torch.from_numpy(rng.normal(size=(len(rows), 3, 6, 6))).float()
            return network(images[rows] + noise).square().mean()

        def validation():
            epoch = int(network[1].num_batches_tracked) // 2
            trained.append(epoch)
            if epoch == killed_in:
                raise KilledError
            # the second epoch is the best, so the weights kept are not the last
            return {"loss": abs(epoch - 2) + 0.1, "other": epoch / 3} if with_val else {}

        plan = Plan(epochs=N_EPOCHS, batch_size=5, lr=lr, schedule=schedule)
        history = train(network, batch_loss, 10, validation, plan, 1, "toy", checkpoint)
    return to_arrays(network), history, trained


@pytest.mark.parametrize("killed_in", [1, 2, 3, 5])
@pytest.mark.parametrize(("schedule", "with_val"), [("one-cycle", True), ("constant", False)])
def test_a_training_killed_in_any_epoch_goes_on_to_the_same_bytes(
    tmp_path: Path, killed_in: int, schedule: str, with_val: bool
) -> None:
    how = {"schedule": schedule, "with_val": with_val}
    weights, history, _ = train_a_net(None, **how)
    checkpoint = kept_always(tmp_path / "toy.npz", "key")
    with pytest.raises(KilledError):
        train_a_net(checkpoint, killed_in=killed_in, **how)
    again, history_again, trained = train_a_net(checkpoint, **how)
    assert trained == list(range(killed_in, N_EPOCHS + 1)), "finished epochs are not repeated"
    assert history_again.equals(history)
    assert list(again) == list(weights)
    assert all(again[name].tobytes() == value.tobytes() for name, value in weights.items())


def test_a_file_that_costs_more_than_its_share_waits(tmp_path: Path) -> None:
    weights, history, _ = train_a_net(None)
    checkpoint = Checkpoint(tmp_path / "toy.npz", "key", most_share=0)
    with pytest.raises(KilledError):
        train_a_net(checkpoint, killed_in=4)
    again, history_again, trained = train_a_net(checkpoint)
    assert trained == [2, 3, 4, 5], "the first epoch is kept whatever it costs"
    assert history_again.equals(history)
    assert all(again[name].tobytes() == value.tobytes() for name, value in weights.items())


def test_a_training_killed_twice_goes_on_twice(tmp_path: Path) -> None:
    weights, history, _ = train_a_net(None)
    checkpoint = kept_always(tmp_path / "toy.npz", "key")
    for epoch in (2, 4):
        with pytest.raises(KilledError):
            train_a_net(checkpoint, killed_in=epoch)
    again, history_again, trained = train_a_net(checkpoint)
    assert trained == [4, 5]
    assert history_again.equals(history)
    assert all(again[name].tobytes() == value.tobytes() for name, value in weights.items())


def test_epochs_finished_before_a_kill_count_as_work_and_half_a_file_is_cleared(
    tmp_path: Path,
) -> None:
    first, second = (kept_always(tmp_path / "toy.npz", "key") for _ in range(2))
    with pytest.raises(KilledError):
        train_a_net(first, killed_in=3)
    (tmp_path / ".toy.npz.ab12").write_bytes(b"half")
    train_a_net(second)
    assert first.effort.earlier_s == 0
    assert 0 < second.effort.earlier_s < first.effort.work_s
    assert second.effort.work_s > second.effort.earlier_s
    assert [p.name for p in tmp_path.iterdir()] == ["toy.npz"]


def test_a_checkpoint_changes_nothing_and_is_taken_away_on_demand(tmp_path: Path) -> None:
    weights, history, _ = train_a_net(None)
    checkpoint = kept_always(tmp_path / "toy.npz", "key")
    kept, kept_history, _ = train_a_net(checkpoint)
    assert all(kept[name].tobytes() == value.tobytes() for name, value in weights.items())
    assert kept_history.equals(history)
    assert [p.name for p in tmp_path.iterdir()] == ["toy.npz"]
    checkpoint.remove()
    assert not list(tmp_path.iterdir())
    checkpoint.remove()


def test_a_checkpoint_of_another_training_is_ignored_in_one_sentence(
    tmp_path: Path, capsys
) -> None:
    path = tmp_path / "toy.npz"
    with pytest.raises(KilledError):
        train_a_net(kept_always(path, "key"), killed_in=3)
    for key, lr in (("other code", 0.05), ("key", 0.06)):
        before = path.read_bytes()
        with pytest.raises(KilledError):
            train_a_net(kept_always(path, key), killed_in=1, lr=lr)
        assert path.read_bytes() == before, "nothing was finished, so nothing is overwritten"
        told = capsys.readouterr().err
        assert f"{path} is of a training with other settings, data or code" in told
    write_state(path, {"network.weight": np.zeros(3)})
    _, _, trained = train_a_net(kept_always(path, "key"))
    assert trained == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_damaged_checkpoint_is_ignored_in_one_sentence(
    tmp_path: Path, capsys, share: float
) -> None:
    checkpoint = kept_always(tmp_path / "toy.npz", "key")
    with pytest.raises(KilledError):
        train_a_net(checkpoint, killed_in=3)
    whole = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(whole[: int(share * len(whole))])
    weights, _, trained = train_a_net(checkpoint)
    assert trained == [1, 2, 3, 4, 5]
    assert f"{checkpoint.path} is damaged, so training starts anew" in capsys.readouterr().err
    expected, _, _ = train_a_net(None)
    assert all(weights[name].tobytes() == value.tobytes() for name, value in expected.items())


def test_a_frozen_batch_norm_keeps_its_statistics() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 1))
    for parameter in [*network[0].parameters(), *network[1].parameters()]:
        parameter.requires_grad = False
    before, seen = to_arrays(network), []

    def batch_loss(rows, rng):
        seen.append([part.training for part in network])
        return network(torch.from_numpy(rng.normal(5, 3, (len(rows), 2))).float()).square().mean()

    train(network, batch_loss, 8, dict, Plan(epochs=2, batch_size=4, lr=0.1), 0, "toy")
    after = to_arrays(network)
    changed = {n for n in before if not np.array_equal(before[n], after[n])}
    assert changed == {"network.3.weight", "network.3.bias"}
    assert seen[0] == [False, False, False, True]
