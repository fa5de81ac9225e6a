"""Damaged published files become a sentence, exit status 2 and no bundle; `cxr import` and `cxr verify` end to end."""

import os
import pickle
import re
from pathlib import Path

import pytest
import torch
import yaml
from tokenizers import Tokenizer
from typer.testing import CliRunner

from app.cli import app
from models.importers import ImportRefused, Source, import_bundle
from tests.support.published import DD


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
    repeated = CliRunner().invoke(app, [str(word) for word in [*words, source.vqgan_checkpoint, "--out", out]])
    assert repeated.exit_code == 2
    assert "exists already" in " ".join(repeated.output.split())
    shard = next((out / "llm").glob("model-*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(bytes(content))
    flipped = CliRunner().invoke(app, ["verify", str(out)])
    assert flipped.exit_code == 2
    assert "SHA-256 differs" in " ".join(flipped.output.split())


def test_a_folder_without_a_tokenizer_is_refused(source: Source, tmp_path: Path) -> None:
    (source.llm / "tokenizer.json").unlink()
    with pytest.raises(ImportRefused, match="no readable tokenizer"):
        import_bundle(source, tmp_path / "bundle")
