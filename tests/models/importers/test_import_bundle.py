"""Published files become a bundle that computes the same; an import that is cut off is continued."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from models.bundle import load
from models.bundle.check import smoke
from models.importers import Source, import_bundle
from models.vqgan import VQGAN
from tests.support.published import source_in, write_llm, write_vqgan
from tests.support.service import SHARED

DOLLY = SHARED / "dolly-tokenizer"


def test_the_bundle_computes_what_the_files_hold(tmp_path: Path) -> None:
    vqgan, model = write_vqgan(tmp_path), write_llm(tmp_path / "llm")
    converted: list[tuple[str, int]] = []
    manifest = import_bundle(source_in(tmp_path), tmp_path / "bundle", lambda *part: converted.append(part))
    bundle = load(tmp_path / "bundle")
    assert bundle.manifest == manifest
    assert sum(count for _, count in converted) == source_in(tmp_path).bytes
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


def test_weights_are_written_in_shards_of_a_given_size(source: Source, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    import_bundle(source, out, shard_bytes=40_000)
    index = json.loads((out / "llm" / "model.safetensors.index.json").read_text())
    shards = {file.name: file.stat().st_size for file in (out / "llm").glob("*.safetensors")}
    assert set(index["weight_map"].values()) == shards.keys()
    assert max(shards.values()) < index["metadata"]["total_size"] / 2
