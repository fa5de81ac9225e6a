"""taming-transformers' checkpoints: what is read of them, and that the original's codes and pixels come out."""

import sys
import types
from pathlib import Path

import pytest
import torch

from models.importers import load_taming_vqgan
from tests.support.golden import GOLDEN, check_golden
from tests.support.published import write_vqgan


def test_lightnings_own_classes_in_a_checkpoint_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_vqgan(tmp_path)
    package = types.ModuleType("pytorch_lightning")
    module = types.ModuleType("pytorch_lightning.callbacks")
    module.ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": "pytorch_lightning.callbacks"})  # type: ignore[attr-defined]
    content = torch.load(tmp_path / "vqgan.ckpt", weights_only=True)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pytorch_lightning", package)
        patch.setitem(sys.modules, "pytorch_lightning.callbacks", module)
        content["callbacks"] = {module.ModelCheckpoint: {"best": 1.0}}  # type: ignore[attr-defined]
        torch.save(content, tmp_path / "vqgan.ckpt")
    assert load_taming_vqgan(tmp_path / "vqgan.yaml", tmp_path / "vqgan.ckpt").config.n_embed == 64


def test_both_index_layouts_are_the_same_codes(tmp_path: Path) -> None:
    write_vqgan(tmp_path, sane_index_shape=True)
    assert load_taming_vqgan(tmp_path / "vqgan.yaml", tmp_path / "vqgan.ckpt").config.grid == (16, 16)


@pytest.mark.skipif(not GOLDEN.exists(), reason="the golden checkpoint is not here")
def test_the_golden_checkpoint_gives_the_original_codes_and_pixels() -> None:
    check_golden(load_taming_vqgan(GOLDEN / "vqgan.yaml", GOLDEN / "vqgan.ckpt"))
