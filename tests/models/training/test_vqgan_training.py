"""The image tokenizer's trainer: phases, codebook, exact resume."""

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from models.classifier import Classifier, ClassifierConfig
from models.training.checkpoints import load_state, save_state
from models.training.codebook import CodebookAverage
from models.training.discriminator import PatchDiscriminator, balance, hinge_loss
from models.training.losses import preservation_losses, texture_loss
from models.training.vqgan import VQGANTrainer
from models.vqgan.quantizer import Quantizer
from tests.support.training import TINY, VQGAN_RECIPE, vqgan_trainer


@pytest.fixture
def features(tmp_path: Path) -> str:
    torch.manual_seed(0)
    Classifier(ClassifierConfig(labels=("a", "b"), side=16, channels=(8, 8))).save(tmp_path / "classifier")
    return f"classifier:{tmp_path / 'classifier'}"


def test_phases_begin_at_their_steps(features: str) -> None:
    trainer = vqgan_trainer(features)
    steps = [trainer.advance() for _ in range(VQGAN_RECIPE.steps)]
    assert ["clinical" in step for step in steps] == [False] * 3 + [True] * 5
    assert ["commitment" in step for step in steps] == [True] * 5 + [False] * 3
    assert ["discriminator" in step for step in steps] == [False] * 6 + [True] * 2


def test_frozen_codes_stay_while_the_decoder_learns() -> None:
    trainer = vqgan_trainer()
    while trainer.step < VQGAN_RECIPE.freeze_codes_from:
        trainer.advance()
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.advance()
    trainer.advance()
    changed = {
        name.split(".")[0] for name, tensor in trainer.model.state_dict().items() if (tensor != before[name]).any()
    }
    assert changed == {"decoder", "post_quant_conv"}


def test_a_resumed_run_has_bitwise_the_losses_of_an_uninterrupted_one(tmp_path: Path, features: str) -> None:
    whole = vqgan_trainer(features)
    expected = [whole.advance() for _ in range(VQGAN_RECIPE.steps)]
    for cut in (2, 7):
        first = vqgan_trainer(features)
        found = [first.advance() for _ in range(cut)]
        save_state(tmp_path / "state", first.state())
        second = vqgan_trainer(features)
        second.restore(load_state(tmp_path / "state") or {})
        assert found + [second.advance() for _ in range(VQGAN_RECIPE.steps - cut)] == expected


def test_a_loss_that_is_not_finite_stops_the_run_before_the_weights_change() -> None:
    trainer = vqgan_trainer()
    with torch.no_grad():
        trainer.model.decoder.conv_out.bias.fill_(float("nan"))
    before = trainer.model.encoder.conv_in.weight.clone()
    with pytest.raises(FloatingPointError, match="step 0"):
        trainer.advance()
    assert torch.equal(before, trainer.model.encoder.conv_in.weight)


def test_a_codebook_entry_that_nobody_chooses_is_revived() -> None:
    quantizer = Quantizer(4, 2)
    average = CodebookAverage(quantizer, decay=0.5, revive_below=0.1)
    generator = torch.Generator().manual_seed(0)
    average.start(torch.randn(50, 2, generator=generator), generator)
    vectors = torch.ones(8, 2)
    revived = sum(average.update(vectors, torch.zeros(8, dtype=torch.int64), generator) for _ in range(10))
    assert revived >= 3
    assert torch.isfinite(quantizer.embedding.weight).all()


def test_the_preserving_losses_vanish_for_equal_images_and_reach_the_decoder(features: str) -> None:
    from models.features import load_features

    network = load_features(features)
    pixels = torch.rand(2, 1, 32, 32)
    assert [float(loss) for loss in preservation_losses(network, pixels, pixels)] == [0.0, 0.0]
    decoded = torch.rand(2, 1, 32, 32, requires_grad=True)
    clinical, perceptual = preservation_losses(network, decoded, pixels)
    (clinical + perceptual).backward()
    assert decoded.grad is not None
    assert decoded.grad.abs().sum() > 0
    assert all(not parameter.requires_grad for parameter in network.parameters())


def test_the_discriminator_judges_patches_and_its_weight_balances_gradients() -> None:
    critic = PatchDiscriminator(1, 8)
    assert critic(torch.zeros(2, 1, 64, 64)).shape == (2, 1, 6, 6)
    assert float(hinge_loss(torch.full((1,), 2.0), torch.full((1,), -2.0))) == 0.0
    layer = torch.ones(3, requires_grad=True)
    weight = balance((6.0 * layer).sum(), (2.0 * layer).sum(), layer)
    assert float(weight) == pytest.approx(3.0, rel=1e-3)


def test_fog_costs_more_texture_than_misplaced_structure() -> None:
    columns = torch.arange(64.0)
    ribs = 0.4 * torch.sin(columns * torch.pi / 2).expand(1, 1, 64, 64)
    moved, fog = ribs.roll(1, dims=3), 0.3 * ribs
    assert float(texture_loss(ribs, ribs)) == 0.0
    assert float(texture_loss(moved, ribs)) < 0.1 * float(texture_loss(fog, ribs))
    assert float(texture_loss(ribs + 0.2, ribs)) < 0.05


def test_a_run_can_begin_from_a_trained_tokenizer() -> None:
    first = vqgan_trainer()
    first.advance()
    started = VQGANTrainer(
        TINY, VQGAN_RECIPE, np.zeros((6, 32, 32), np.uint8), np.arange(6), Accelerator(cpu=True), "", first.model
    )
    for name, tensor in started.model.state_dict().items():
        assert torch.equal(tensor, first.model.state_dict()[name])
    codebook = started.model.quantize.embedding.weight.clone()
    assert started.advance()["revived"] == 0
    assert torch.allclose(started.model.quantize.embedding.weight, codebook, atol=0.5)
