"""The small classifier and the references to feature networks."""

import sys
import types
from pathlib import Path

import pytest
import torch

from models.classifier import Classifier, ClassifierConfig
from models.features import FeatureError, load_features

CONFIG = ClassifierConfig(labels=("a", "b", "c"), side=16, channels=(8, 16))


def test_it_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    model = Classifier(CONFIG).eval()
    model.save(tmp_path)
    pixels = torch.rand(2, 1, 64, 64)
    assert torch.equal(Classifier.load(tmp_path).logits(pixels), model.logits(pixels))
    assert model.logits(pixels).shape == (2, 3)
    assert model(pixels).shape == (2, 16)


def test_grey_and_rgb_give_the_same_features() -> None:
    model = Classifier(CONFIG).eval()
    pixels = torch.rand(2, 1, 32, 32)
    assert torch.allclose(model(pixels), model(pixels.expand(-1, 3, -1, -1)), atol=1e-5)


def test_features_are_found_by_folder_or_by_import_and_are_frozen(tmp_path: Path) -> None:
    Classifier(CONFIG).save(tmp_path)
    found = load_features(f"classifier:{tmp_path}")
    assert not any(parameter.requires_grad for parameter in found.parameters())
    assert isinstance(load_features("torch.nn:Identity"), torch.nn.Identity)


@pytest.mark.parametrize("reference", ["nothing", "classifier:/nowhere", "no.such.module:x", "torch.nn:Nope", "xrv:/x"])
def test_features_that_cannot_be_loaded_are_refused_by_name(reference: str) -> None:
    with pytest.raises(FeatureError, match=reference.split(":")[0]):
        load_features(reference)


class _Code:
    """Runs when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("kind", ["xrv"])
def test_code_in_a_file_of_weights_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    package, net = types.ModuleType("torchxrayvision"), types.ModuleType("torchxrayvision.models")
    net.DenseNet = lambda **_: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchxrayvision", package)
    monkeypatch.setitem(sys.modules, "torchxrayvision.models", net)
    torch.save({"x": _Code(tmp_path / "ran")}, tmp_path / "weights.pt")
    with pytest.raises(FeatureError, match="holds code and not only weights; it was not run"):
        load_features(f"{kind}:{tmp_path / 'weights.pt'}")
    assert not (tmp_path / "ran").exists()
