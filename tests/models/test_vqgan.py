"""The image tokenizer's architecture, loading, and agreement with the original code."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from models.preprocessing import fit
from models.vqgan import VQGAN, VQGANConfig
from models.vqgan.pixels import to_grey, to_pixels
from tests.support.golden import GOLDEN, check_golden

SMALL = {
    "resolution": 64,
    "in_channels": 1,
    "out_ch": 1,
    "ch": 8,
    "ch_mult": (1, 2, 2),
    "num_res_blocks": 1,
    "attn_resolutions": (16,),
    "z_channels": 16,
    "embed_dim": 4,
    "n_embed": 32,
    "norm_groups": 4,
}


def small(**changes: object) -> VQGAN:
    torch.manual_seed(0)
    return VQGAN(VQGANConfig(**{**SMALL, **changes})).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"in_channels": 3, "out_ch": 3},
        {"resamp_with_conv": False},
        {"ch_mult": (1, 2, 2, 4)},
        {"num_res_blocks": 2},
    ],
)
def test_any_configuration_tokenises_and_draws_its_own_size(changes: dict[str, object]) -> None:
    model = small(**changes)
    channels = model.config.in_channels
    pixels = torch.rand(2, channels, 64, 64) * 2 - 1
    with torch.inference_mode():
        codes = model.encode(pixels)
        drawn = model.decode(codes)
    rows, columns = model.config.grid
    assert codes.shape == (2, rows * columns)
    assert codes.dtype == torch.int64
    assert int(codes.max()) < 32
    assert drawn.shape == (2, channels, 64, 64)


def test_codes_are_the_nearest_entries_row_by_row() -> None:
    model = small()
    pixels = torch.rand(1, 1, 64, 64) * 2 - 1
    with torch.inference_mode():
        features = model.embed(pixels)
        codes = model.encode(pixels)[0].view(16, 16)
        distances = (features[0, :, 3, 5] - model.quantize.embedding.weight).square().sum(1)
    assert int(codes[3, 5]) == int(distances.argmin())


def test_codes_outside_the_codebook_or_of_another_number_are_refused() -> None:
    model = small()
    with pytest.raises(ValueError, match="256"):
        model.decode(torch.zeros(1, 255, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"0\.\.31"):
        model.decode(torch.full((1, 256), 32))


def test_a_saved_model_computes_the_same(tmp_path: Path) -> None:
    model = small()
    model.save(tmp_path)
    loaded = VQGAN.load(tmp_path)
    pixels = torch.rand(1, 1, 64, 64) * 2 - 1
    with torch.inference_mode():
        assert torch.equal(model.embed(pixels), loaded.embed(pixels))


def test_loading_is_strict(tmp_path: Path) -> None:
    small().save(tmp_path)
    (tmp_path / "config.json").write_text(VQGANConfig(**{**SMALL, "num_res_blocks": 2}).model_dump_json())  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=r"encoder\.down\.0\.block\.1"):
        VQGAN.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"double_z": True}, "double_z"),
        ({"norm_groups": 32}, "norm groups"),
        ({"resolution": 66}, "divisible"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_configuration_that_cannot_be_built_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        VQGANConfig(**{**SMALL, **changes})  # type: ignore[arg-type]


def test_grey_levels_survive_the_way_to_pixels_and_back() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert np.array_equal(to_grey(to_pixels(levels, 3)), levels)
    assert np.array_equal(to_grey(torch.tensor([[[[-5.0, 5.0]]]])), [[[0, 255]]])


@pytest.mark.skipif(not GOLDEN.exists(), reason="the original code's checkpoint is not here")
def test_it_computes_what_the_original_code_computes() -> None:
    state = torch.load(GOLDEN / "vqgan.ckpt", weights_only=True)["state_dict"]
    config = VQGANConfig(
        resolution=256,
        in_channels=3,
        out_ch=3,
        ch=32,
        ch_mult=(1, 1, 2, 2, 3),
        num_res_blocks=2,
        attn_resolutions=(16,),
        z_channels=256,
        embed_dim=256,
        n_embed=1024,
    )
    model = VQGAN(config).eval()
    model.load_state_dict({name: value for name, value in state.items() if not name.startswith("loss.")}, strict=True)
    check_golden(model)


@pytest.mark.skipif(not GOLDEN.exists(), reason="the original code's outputs are not here")
def test_preprocessing_is_that_of_the_original_code_to_the_byte() -> None:
    expected = np.load(GOLDEN / "expected.npz")["pixels"]
    files = sorted(GOLDEN.glob("*.png"))
    assert len(files) == len(expected)
    for file, pixels in zip(files, expected, strict=True):
        with Image.open(file) as image:
            assert np.array_equal(np.asarray(fit(image.convert("RGB"), 256)), pixels)
