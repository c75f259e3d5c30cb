"""Published weights: found, verified, read without running anything, and used."""

import contextlib
import pickle
import re
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from patchbench import plugins
from patchbench.__main__ import main
from patchbench.encoders import bagnet as bagnet_encoder
from patchbench.errors import UserError
from patchbench.networks.bagnet import BagNet
from patchbench.networks.checkpoints import read_checkpoint, start_from
from patchbench.networks.published import Published, bagnet
from patchbench.networks.torchvision_models import features, published, torchvision_models
from patchbench.patchset import TrainingData

LAYERS = [1, 1, 1, 1]
SETTINGS = {"width": 4, "layers": LAYERS, "batch_size": 4, "precision": "float32"}


def network(n_classes: int = 7) -> BagNet:
    torch.manual_seed(1)
    return BagNet(17, n_classes, 4, LAYERS)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pth"
    torch.save(network().state_dict(), path)
    return path


def data(weights: Path | None = None) -> TrainingData:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (12, 40, 40, 3), dtype=np.uint8), np.arange(12) % 2
    return TrainingData(
        images=images,
        train_rows=np.arange(8),
        val_rows=np.arange(8, 12),
        train_labels=labels[:8],
        val_labels=labels[8:],
        n_classes=2,
        pixels=[],
        train_patches=pd.DataFrame(),
        weights=weights,
    )


def encoder(path: Path, **settings):
    spec = SETTINGS | {"weights": str(path)} | settings
    return plugins.build("encoders", "bagnet", spec, patch_size_px=20, seed=0)


@pytest.mark.parametrize("receptive_field_px", [9, 17, 33])
def test_published_bagnets_carry_the_start_of_their_checksum(receptive_field_px):
    found = bagnet(receptive_field_px)
    assert found.url.endswith(f"-{found.checksum.removeprefix('sha256-begins:')}.pth.tar")
    assert len(found.checksum) == len("sha256-begins:") + 8


def test_torchvision_s_weights_are_found_by_name():
    found = published("resnet18")
    assert found.url == "https://download.pytorch.org/models/resnet18-f37072fd.pth"
    assert found.checksum == "sha256-begins:f37072fd"
    with pytest.raises(UserError, match="Did you mean 'resnet18'"):
        published("resnet_18")


def test_every_network_of_torchvision_carries_its_checksum():
    models = torchvision_models()
    checksums = [published(name).checksum for name in models.list_models(module=models)]
    assert len(checksums) > 70
    assert all(re.fullmatch("sha256-begins:[0-9a-f]{8,}", checksum) for checksum in checksums)


def test_an_address_without_a_checksum_is_refused():
    with pytest.raises(UserError, match="does not carry its checksum; download it by hand"):
        _ = Published("https://example.org/weights.pth").checksum


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_every_layout_of_a_checkpoint_is_read(tmp_path, prefix, wrapped, zipped):
    state = network().state_dict()
    content = {prefix + name: value for name, value in state.items()}
    content = {"epoch": 3, "state_dict": content} if wrapped else content
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(tmp_path / "w.pth")
    assert list(found) == list(state)
    assert all(torch.equal(found[name], state[name]) for name in state)


class Bomb:
    """Leaves a trace when unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_checkpoint_with_code_is_refused_and_not_run(tmp_path, zipped):
    path, trace = tmp_path / "bad.pth", tmp_path / "trace"
    content = {"state_dict": network().state_dict(), "extra": Bomb(trace)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match="could run code, so it is refused") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert not trace.exists()


def test_a_bare_pickle_is_refused_and_not_run(tmp_path):
    path, trace = tmp_path / "bad.pth", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(UserError, match=r"bad\.pth"):
        read_checkpoint(path)
    assert not trace.exists()


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_cut_off_checkpoint_is_one_sentence(tmp_path, zipped, share):
    path = tmp_path / "cut.pth"
    torch.save(network().state_dict(), path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match="cut off; delete it and fetch it again") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("zipped", [False, True])
def test_altered_bytes_end_in_one_sentence_or_in_weights(tmp_path, zipped):
    path, rng = tmp_path / "altered.pth", np.random.default_rng(0)
    torch.save(network().state_dict(), path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for _ in range(60):
        altered = bytearray(whole)
        for at in rng.integers(0, min(len(whole), 4000), 3):
            altered[at] = rng.integers(256)
        path.write_bytes(altered)
        with contextlib.suppress(UserError):  # any other error is a failure
            assert all(map(torch.is_tensor, read_checkpoint(path).values()))


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    state = network().state_dict()
    state["layer1.0.conv1.weight"][0] = torch.nan
    torch.save(state, tmp_path / "nan.pth")
    with pytest.raises(UserError, match=r"NaN or infinite values in layer1\.0\.conv1\.weight"):
        start_from(network(), tmp_path / "nan.pth", "fc.")


@pytest.mark.parametrize("content", [b"<html>404</html>", [1, 2], {"lr": 0.1}])
def test_what_holds_no_state_dict_is_one_sentence(tmp_path, content):
    path = tmp_path / "odd.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(UserError, match=r"odd\.pth"):
        read_checkpoint(path)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="there is no file of weights at"):
        read_checkpoint(tmp_path / "none.pth")


def test_another_architecture_is_refused_by_the_first_difference(checkpoint):
    wider = BagNet(17, 7, 8, LAYERS)
    with pytest.raises(UserError, match=r"conv1.weight has shape \(4, 3, 1, 1\) and should have"):
        start_from(wider, checkpoint, "fc.")
    deeper = BagNet(17, 7, 4, [1, 2, 1, 1])
    with pytest.raises(UserError, match=r"it lacks layer2\.1"):
        start_from(deeper, checkpoint, "fc.")
    torch.save(deeper.state_dict(), checkpoint)
    with pytest.raises(UserError, match=r"it has layer2\.1.*which the network has not"):
        start_from(network(), checkpoint, "fc.")


def test_the_head_is_taken_over_only_where_the_classes_are_as_many(checkpoint):
    same, other = BagNet(17, 7, 4, LAYERS), BagNet(17, 2, 4, LAYERS)
    start_from(same, checkpoint, "fc.")
    assert torch.equal(same.fc.weight, network().fc.weight)
    start_from(other, checkpoint, "fc.")
    assert other.fc.weight.shape == (2, other.dim)
    headless = {n: v for n, v in network().state_dict().items() if not n.startswith("fc.")}
    torch.save(headless, checkpoint)
    start_from(other, checkpoint, "fc.")
    assert torch.equal(other.conv2.weight, network().conv2.weight)


def test_frozen_features_stay_to_the_byte_and_the_head_learns(checkpoint):
    frozen = encoder(checkpoint, freeze=True, epochs=3)
    history = frozen.fit(data(checkpoint))
    before, after = network().state_dict(), frozen.state()
    for name, value in before.items():
        if not name.startswith("fc."):
            np.testing.assert_array_equal(after[f"network.{name}"], value.numpy(), err_msg=name)
    untouched = encoder(checkpoint, freeze=True, epochs=0)
    assert untouched.fit(data(checkpoint)).empty
    assert not np.array_equal(untouched.state()["network.fc.weight"], after["network.fc.weight"])
    assert len(history) > 0


def test_fine_tuning_changes_the_features(checkpoint):
    tuned = encoder(checkpoint, epochs=1)
    tuned.fit(data(checkpoint))
    assert not np.array_equal(
        tuned.state()["network.conv2.weight"], network().conv2.weight.detach()
    )


def test_published_weights_are_fed_the_published_scale(checkpoint):
    started = encoder(checkpoint, epochs=0)
    started.fit(data(checkpoint))
    pixels = data().images[:1, :20, :20]
    colours = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    scaled = (colours - mean[:, None, None]) / deviation[:, None, None]
    with torch.inference_mode():
        wanted = network().eval().embed(scaled).mean(dim=(1, 2))
    np.testing.assert_allclose(started.encode(pixels), wanted.numpy(), atol=1e-5)


def test_weights_that_were_not_handed_over_are_an_error(checkpoint):
    with pytest.raises(UserError, match="no file of weights was handed over"):
        encoder(checkpoint).fit(data(None))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "squeezenet1_0", "resnet_18"])
def test_a_backbone_ends_in_a_linear_layer_or_is_refused(name):
    if name in ("squeezenet1_0", "resnet_18"):
        with pytest.raises(UserError, match=r"another|Did you mean"):
            features(name, "meta")
        return
    found = features(name, "meta")
    with torch.device("meta"):
        assert found.network.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, found.dim)


def test_a_pretrained_backbone_starts_from_its_checkpoint(tmp_path):
    torch.manual_seed(3)
    whole = features("shufflenet_v2_x0_5").network
    whole.fc = nn.Linear(1024, 9)
    torch.save(whole.state_dict(), tmp_path / "w.pth")
    spec = {"backbone": "shufflenet_v2_x0_5", "weights": str(tmp_path / "w.pth"), "resize_px": 32}
    started = plugins.build("encoders", "pretrained", spec, patch_size_px=20, seed=0)
    assert started.fit(data(tmp_path / "w.pth")).empty
    assert started.encode(data().images[:2, :20, :20]).shape == (2, started.dim)
    assert not any(name.startswith("network.fc") for name in started.state())


def test_a_backbone_that_needs_a_fixed_side_says_so():
    spec = {"backbone": "vit_b_32", "weights": "scratch"}
    with_patches = plugins.build("encoders", "pretrained", spec, patch_size_px=20, seed=0)
    with pytest.raises(UserError, match="set resize_px, for most networks to 224") as caught:
        with_patches.fit(data())
    assert "\n" not in str(caught.value)


def test_module_offers_what_the_issue_of_sizes_names():
    assert bagnet_encoder.BagNet(9, 1000, 64).dim == 2048


def test_published_weights_travel_from_a_server_into_the_encoder(tmp_path, monkeypatch):
    (tmp_path / "served").mkdir()
    torch.save(network().state_dict(), tmp_path / "served" / "w")
    digest = sha256((tmp_path / "served" / "w").read_bytes()).hexdigest()[:8]
    (tmp_path / "served" / "w").rename(tmp_path / "served" / f"bagnet16-{digest}.pth.tar")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/bagnet16-{digest}.pth.tar"
        out = tmp_path / "resources" / "bagnet16.pth.tar"
        assert main(["fetch_weights", "--url", url, "--out", str(out)]) == 0
        server.shutdown()
    assert [path.name for path in out.parent.iterdir()] == ["bagnet16.pth.tar"]
    started = encoder(out, epochs=0)
    started.fit(data(out))
    np.testing.assert_array_equal(
        started.state()["network.conv2.weight"], network().conv2.weight.detach().numpy()
    )
