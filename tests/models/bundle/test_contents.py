"""What a bundle may not hold, listed in its manifest or not, and sizes that no weights can have."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.bundle import BundleError, load
from tests.models.bundle.test_bundle import DEMO, edit, reseal


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the embedded bundle to damage."""
    return Path(shutil.copytree(DEMO, tmp_path / "bundle"))


CODE = (
    "bin", "pt", "pth", "ckpt", "pkl", "pickle", "joblib", "dill", "npy", "npz", "py", "pyc",
    "pyd", "pyx", "so", "dll", "dylib", "sh", "exe", "bat", "jar", "js", "wasm", "onnx",
    "h5", "keras", "pb", "tflite", "msgpack", "gguf", "zip", "tar", "gz", "html", "svg", "dat",
)  # fmt: skip


def _header(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    """Change the header of a safetensors file: its length in 8 bytes, JSON, then the data."""

    def changed(data: bytes) -> bytes:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        change(next(entry for name, entry in header.items() if name != "__metadata__"))
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + data[8 + length :]

    return changed


LIES: dict[str, Callable[[bytes], bytes]] = {
    "no header": lambda data: b"",
    "a header that is longer than the file": lambda data: (2**40).to_bytes(8, "little") + data[8:],
    "a header that is no JSON": lambda data: data[:8] + b"x" * (len(data) - 8),
    "another shape": _header(lambda entry: entry.update(shape=[*entry["shape"], 7])),
    "another type": _header(lambda entry: entry.update(dtype="F64")),
    "an unknown type": _header(lambda entry: entry.update(dtype="F7")),
    "data behind the end": _header(lambda entry: entry.update(data_offsets=[n + 10**9 for n in entry["data_offsets"]])),
    "data that is cut": lambda data: data[:-100],
    "data that nothing describes": lambda data: data + b"x" * 100,
}


@pytest.mark.parametrize("part", ["llm", "vqgan"])
@pytest.mark.parametrize("lie", LIES)
def test_weight_files_whose_header_lies_are_refused(copy: Path, part: str, lie: str) -> None:
    file = copy / part / "model.safetensors"
    file.write_bytes(LIES[lie](file.read_bytes()))
    reseal(copy)
    with pytest.raises(BundleError, match=rf"{part}/model.safetensors is no safetensors file"):
        load(copy)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("name", [*(f"llm/x.{suffix}" for suffix in CODE), "vqgan/X.PKL", "llm/program", "llm/.hidden"])
def test_code_pickles_and_unknown_kinds_of_files_are_refused(copy: Path, name: str, listed: bool) -> None:
    (copy / name).write_bytes(b"x")
    if listed:
        with pytest.raises(BundleError):
            reseal(copy)
    with pytest.raises(BundleError, match="no pickled data, no code"):
        load(copy)


@pytest.mark.parametrize("name", ["llm/README.md", "llm/LICENSE", "vqgan/note.txt", "llm/merges.txt", "picture.png"])
def test_data_beside_the_weights_is_taken_once_it_is_listed(copy: Path, name: str) -> None:
    (copy / name).write_bytes(b"x")
    reseal(copy)
    assert name in load(copy).manifest.files


@pytest.mark.parametrize("target", ["/etc/hostname", "/etc", "config.json", "nowhere"])
@pytest.mark.parametrize("name", ["llm/more", "llm/extra.json", "vqgan/link.safetensors", "more"])
def test_symbolic_links_are_refused_wherever_they_lead(copy: Path, name: str, target: str) -> None:
    (copy / name).symlink_to(target)
    with pytest.raises(BundleError, match="no symbolic links"):
        load(copy)


def test_a_part_that_is_a_link_to_a_folder_is_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "llm").rename(tmp_path / "elsewhere")
    (copy / "llm").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(BundleError, match="llm: a bundle holds no symbolic links"):
        load(copy)


def test_the_folder_of_a_bundle_may_itself_be_a_link(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(copy, target_is_directory=True)
    assert load(tmp_path / "current").image_tokens == 256


def test_what_is_no_file_is_refused(copy: Path) -> None:
    os.mkfifo(copy / "llm" / "pipe.json")
    with pytest.raises(BundleError, match="nothing but files"):
        load(copy)


@pytest.mark.parametrize("key", ["auto_map", "custom_generate", "custom_pipelines", "trust_remote_code"])
@pytest.mark.parametrize("name", ["llm/config.json", "llm/tokenizer_config.json", "llm/sub/x.json", "extra.json"])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_references_to_code_are_refused_wherever_they_stand(copy: Path, name: str, key: str, depth: int) -> None:
    found: Any = {key: {"AutoModelForCausalLM": "modeling.Model"}}
    for _ in range(depth):
        found = {"text_config": [found]}
    (copy / name).parent.mkdir(exist_ok=True)
    body = json.loads((copy / name).read_text()) if (copy / name).exists() else {}
    (copy / name).write_text(json.dumps(body | found))
    reseal(copy)
    with pytest.raises(BundleError, match="makes Python code run"):
        load(copy)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("llm/config.json", {"hidden_size": 10**12}),
        ("llm/config.json", {"hidden_size": 65_536}),
        ("llm/config.json", {"hidden_size": -1}),
        ("llm/config.json", {"hidden_size": "wide"}),
        ("llm/config.json", {"num_hidden_layers": 10**9}),
        ("llm/config.json", {"num_hidden_layers": 100_000}),
        ("llm/config.json", {"max_position_embeddings": 2**40}),
        ("llm/config.json", {"vocab_size": 2**40}),
        ("llm/config.json", {"vocab_size": True}),
        ("llm/config.json", {"n_embd": 10**6, "n_layer": 1_000}),
        ("llm/config.json", {"d_model": 65_536}),
        ("llm/config.json", {"intermediate_size": 2**24}),
        ("llm/config.json", {"num_local_experts": 100_000}),
        ("vqgan/config.json", {"ch": 10**6}),
        ("vqgan/config.json", {"ch": 8_192}),
        ("vqgan/config.json", {"num_res_blocks": 10**6}),
        ("vqgan/config.json", {"embed_dim": 65_536, "z_channels": 65_536}),
        ("vqgan/config.json", {"resolution": 2**30}),
        ("vqgan/config.json", {"ch_mult": [1, 1, 2, 2, 10**6]}),
    ],
)
def test_sizes_that_the_weights_cannot_have_are_refused_before_anything_is_allocated(
    copy: Path, name: str, change: dict[str, Any]
) -> None:
    edit(copy, name, lambda body: body.update(change))
    reseal(copy)
    with pytest.raises(BundleError):
        load(copy)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "\xff", ""])
def test_json_that_cannot_be_read_is_refused(copy: Path, text: str) -> None:
    (copy / "llm" / "generation_config.json").write_text(text)
    reseal(copy)
    with pytest.raises(BundleError, match="no JSON that can be read"):
        load(copy)


@pytest.mark.parametrize("name", ["llm/a\x1b[2J.txt", "llm/a\nb.txt"])
def test_names_that_cannot_be_printed_are_refused(copy: Path, name: str) -> None:
    (copy / name).write_text("x")
    with pytest.raises(BundleError, match="names that can be printed"):
        load(copy)


@pytest.mark.parametrize("name", ["bundle.json", "llm/config.json", "llm/tokenizer.json", "vqgan/config.json"])
@pytest.mark.parametrize("what", ["folder", "pipe", "nothing"])
def test_a_part_that_is_no_file_is_refused_in_words(copy: Path, name: str, what: str) -> None:
    (copy / name).unlink()
    if what == "folder":
        (copy / name).mkdir()
    elif what == "pipe":
        os.mkfifo(copy / name)
    with pytest.raises(BundleError):
        load(copy)
