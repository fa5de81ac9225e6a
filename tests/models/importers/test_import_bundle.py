"""Published files become a bundle that computes the same; damaged ones become a sentence and nothing else."""

import json
import os
import pickle
import re
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from app.cli import app
from models.bundle import load
from models.bundle.check import smoke
from models.bundle.writer import Writer
from models.importers import ImportRefused, Source, import_bundle, llm, load_taming_vqgan
from models.vqgan import VQGAN
from tests.support.published import DD, source_in, write_llm, write_vqgan
from tests.support.service import SHARED

GOLDEN = SHARED / "taming-golden"
DOLLY = SHARED / "dolly-tokenizer"


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A whole set of published files."""
    write_vqgan(tmp_path)
    write_llm(tmp_path / "llm")
    return source_in(tmp_path)


def test_the_bundle_computes_what_the_files_hold(tmp_path: Path) -> None:
    vqgan, model = write_vqgan(tmp_path), write_llm(tmp_path / "llm")
    told: list[tuple[str, int]] = []
    manifest = import_bundle(source_in(tmp_path), tmp_path / "bundle", lambda *part: told.append(part))
    bundle = load(tmp_path / "bundle")
    assert bundle.manifest == manifest
    assert sum(count for _, count in told) == source_in(tmp_path).bytes
    pixels = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.inference_mode():
        codes = vqgan.encode(pixels)
        assert torch.equal(VQGAN.load(bundle.vqgan).encode(pixels), codes)
        prompt = torch.tensor([bundle.prompts.report(codes[0].tolist())])
        found = AutoModelForCausalLM.from_pretrained(bundle.llm, dtype=torch.float32)(prompt).logits
        for parameter in model.parameters():
            parameter.copy_(parameter.bfloat16())
        expected = model(prompt).logits
    assert torch.equal(found, expected)
    card = (bundle.path / "MODEL_CARD.md").read_text()
    assert "loss.discriminator.main.0.weight" in card
    assert "masked_bias" in card
    assert smoke(bundle)["encoded"].startswith("256 codes")
    assert not (tmp_path / "bundle.importing").exists()


def test_safetensors_are_taken_before_pickles(tmp_path: Path) -> None:
    write_vqgan(tmp_path)
    model = write_llm(tmp_path / "llm")
    save_file(
        {name: tensor.clone() for name, tensor in model.state_dict().items()}, tmp_path / "llm" / "model.safetensors"
    )
    for file in (tmp_path / "llm").glob("pytorch_model*"):
        file.write_bytes(b"junk")
    import_bundle(source_in(tmp_path), tmp_path / "bundle")
    load(tmp_path / "bundle")


def test_a_cut_off_import_leaves_no_bundle_and_goes_on(source: Source, tmp_path: Path) -> None:
    out, converted = tmp_path / "bundle", []

    def cut(name: str, _count: int) -> None:
        converted.append(name)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_bundle(source, out, cut)
    assert not out.exists()
    first = (tmp_path / "bundle.importing" / "llm" / "model-000-000.safetensors").stat().st_mtime_ns
    import_bundle(source, out)
    assert (out / "llm" / "model-000-000.safetensors").stat().st_mtime_ns == first
    assert load(out).manifest.label == "llm-cxr-1.0"


def test_another_source_begins_anew(source: Source, tmp_path: Path) -> None:
    writer = Writer(tmp_path / "w", "a")
    writer.text("x", "hello")
    writer.finish(source.vqgan_config, {})
    assert Writer(tmp_path / "w", "a").finished(source.vqgan_config) == {}
    assert Writer(tmp_path / "w", "b").finished(source.vqgan_config) is None
    (tmp_path / "w" / "x").write_text("cut")
    assert Writer(tmp_path / "w", "a").finished(source.vqgan_config) is None


class Evil:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/cxr-evil",)


def _edit_yaml(source: Source, **params: object) -> None:
    content = yaml.safe_load(source.vqgan_config.read_text())
    content["model"]["params"].update(params)
    source.vqgan_config.write_text(yaml.safe_dump(content))


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _drop(source: Source, key: str) -> None:
    content = torch.load(source.vqgan_checkpoint, weights_only=True)
    del content["state_dict"][key]
    torch.save(content, source.vqgan_checkpoint)


def _evil(source: Source) -> None:
    torch.save({"state_dict": {"encoder.conv_in.weight": Evil()}}, source.vqgan_checkpoint)


def _evil_shard(source: Source) -> None:
    (source.llm / "pytorch_model-00001-of-00002.bin").write_bytes(pickle.dumps(Evil()))


def _other_tokenizer(source: Source) -> None:
    tokenizer = Tokenizer.from_file(str(source.llm / "tokenizer.json"))
    tokenizer.add_tokens(["another"])
    tokenizer.save(str(source.llm / "tokenizer.json"))


def _nan(source: Source) -> None:
    file = source.llm / "pytorch_model-00002-of-00002.bin"
    part = torch.load(file, weights_only=True)
    next(iter(part.values())).view(-1)[0] = float("nan")
    torch.save(part, file)


FAULTS = {
    "truncated checkpoint": (lambda s: _truncate(s.vqgan_checkpoint), r"vqgan\.ckpt is damaged"),
    "malicious checkpoint": (_evil, r"vqgan\.ckpt holds code and not only weights; it was not run"),
    "malicious shard": (_evil_shard, r"pytorch_model-00001-of-00002\.bin holds code"),
    "truncated shard": (lambda s: _truncate(s.llm / "pytorch_model-00002-of-00002.bin"), "is damaged"),
    "missing shard": (lambda s: (s.llm / "pytorch_model-00002-of-00002.bin").unlink(), "which is not there"),
    "NaN in a shard": (_nan, "not finite"),
    "yaml of another size": (
        lambda s: _edit_yaml(s, ddconfig={**DD, "ch": 64}),
        r"encoder\.conv_in.* is \(32, 3, 3, 3\)",
    ),
    "yaml of another codebook": (lambda s: _edit_yaml(s, n_embed=128), r"quantize\.embedding\.weight is \(64, 32\)"),
    "remapped codes": (lambda s: _edit_yaml(s, remap="used.npy"), "remapped codebooks are not read"),
    "yaml without a model": (lambda s: s.vqgan_config.write_text("a: 1"), "is missing"),
    "no yaml": (lambda s: s.vqgan_config.write_text("{"), "is not YAML"),
    "unknown field": (lambda s: _edit_yaml(s, ddconfig={**DD, "use_fp16": True}), "use_fp16: Extra inputs"),
    "missing tensor": (lambda s: _drop(s, "decoder.conv_out.bias"), r"lacks tensors .*: decoder\.conv_out\.bias"),
    "tokenizer of another size": (_other_tokenizer, "embedding rows, but the tokenizer has"),
    "no weights": (lambda s: [f.unlink() for f in s.llm.glob("pytorch_model*")], "holds neither"),
    "no configuration": (lambda s: (s.llm / "config.json").write_text("{}"), r"config\.json is missing or of no known"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_damaged_files_give_one_sentence_status_two_and_no_bundle(source: Source, tmp_path: Path, fault: str) -> None:
    damage, said = FAULTS[fault]
    damage(source)
    words = ["import", "--llm", source.llm, "--vqgan-config", source.vqgan_config, "--vqgan-checkpoint"]
    result = CliRunner().invoke(app, [str(word) for word in [*words, source.vqgan_checkpoint, "--out", tmp_path / "b"]])
    assert result.exit_code == 2, result.output
    sentence = " ".join(result.output.split())
    assert re.search(said, sentence), sentence
    assert "Traceback" not in result.output
    assert not (tmp_path / "b").exists()
    assert not Path("/tmp/cxr-evil").exists()


def test_the_command_writes_a_bundle_that_verifies_until_a_byte_flips(source: Source, tmp_path: Path) -> None:
    words = ["import", "--llm", source.llm, "--vqgan-config", source.vqgan_config, "--vqgan-checkpoint"]
    out = tmp_path / "b"
    result = CliRunner().invoke(app, [str(word) for word in [*words, source.vqgan_checkpoint, "--out", out]])
    assert result.exit_code == 0, result.output
    verified = CliRunner().invoke(app, ["verify", str(out)])
    assert verified.exit_code == 0, verified.output
    assert "8 tokens" in verified.output
    again = CliRunner().invoke(app, [str(word) for word in [*words, source.vqgan_checkpoint, "--out", out]])
    assert again.exit_code == 2
    assert "exists already" in " ".join(again.output.split())
    shard = next((out / "llm").glob("model-*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(bytes(content))
    flipped = CliRunner().invoke(app, ["verify", str(out)])
    assert flipped.exit_code == 2
    assert "SHA-256 differs" in " ".join(flipped.output.split())


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


def test_the_golden_checkpoint_gives_the_original_codes_and_pixels() -> None:
    if not GOLDEN.exists():
        pytest.skip("the golden checkpoint is not here")
    expected = np.load(GOLDEN / "expected.npz")
    model = load_taming_vqgan(GOLDEN / "vqgan.yaml", GOLDEN / "vqgan.ckpt")
    pixels = torch.from_numpy(expected["pixels"]).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    with torch.inference_mode():
        codes = model.encode(pixels)
        drawn = model.decode(torch.from_numpy(expected["tokens"]))
    assert (codes.numpy() == expected["tokens"]).mean() >= 0.995
    assert float((drawn - torch.from_numpy(expected["decoded"])).abs().max()) < 1e-3


def test_the_published_vocabulary_is_imported_with_its_three_id_rule(tmp_path: Path) -> None:
    if not DOLLY.exists():
        pytest.skip("the published tokenizer is not here")
    write_vqgan(tmp_path)
    write_llm(tmp_path / "llm", tokenizer=Tokenizer.from_file(str(DOLLY / "tokenizer.json")))
    manifest = import_bundle(source_in(tmp_path), tmp_path / "bundle")
    assert (manifest.vocabulary.text_size, manifest.vocabulary.image_offset) == (50281, 50281)
    vocabulary = load(tmp_path / "bundle").vocabulary
    for attempt in ("### End", "### Response:\n", "<image>", "<|endoftext|>"):
        assert not set(vocabulary.encode(attempt)) & vocabulary.controls


def test_weights_of_many_shards_never_lie_in_memory_together(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    monkeypatch.setattr(llm, "_SHARD_BYTES", 40_000)
    tensors = Writer.tensors

    def noted(self: Writer, name: str, part: dict[str, torch.Tensor]) -> None:
        held.append(sum(tensor.nbytes for tensor in part.values()))
        tensors(self, name, part)

    monkeypatch.setattr(Writer, "tensors", noted)
    import_bundle(source, tmp_path / "bundle")
    total = sum(int(np.prod(shape)) * 2 for shape in llm.shapes_of(llm.read_config(source.llm)).wanted.values())
    assert sum(held) == total
    assert max(held) < total / 2
    index = json.loads((tmp_path / "bundle" / "llm" / llm.INDEX_FILE).read_text())
    assert len(set(index["weight_map"].values())) == len(held)
    shutil.rmtree(tmp_path / "bundle")


def test_a_folder_without_a_tokenizer_is_refused(source: Source, tmp_path: Path) -> None:
    (source.llm / "tokenizer.json").unlink()
    with pytest.raises(ImportRefused, match="no readable tokenizer"):
        import_bundle(source, tmp_path / "bundle")
