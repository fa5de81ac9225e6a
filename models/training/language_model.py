"""The language model before training: from scratch, or a Hugging Face causal model with rows for the image tokens."""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedModel

from models.data.dataset import DataError
from models.vocabulary import Vocabulary

ImageEmbeddings = Literal["random", "mean", "codebook"]


def build_model(
    vocabulary: Vocabulary, width: int, layers: int, heads: int, context: int = 1024, dropout: float = 0.0
) -> GPTNeoXForCausalLM:
    """A GPT-NeoX of the given width over the joint vocabulary, with the published model's rotary share and layout."""
    config = GPTNeoXConfig(
        vocab_size=vocabulary.size,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=context,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25},
        use_parallel_residual=True,
        tie_word_embeddings=False,
        bos_token_id=vocabulary.padding,
        eos_token_id=vocabulary.end,
        pad_token_id=vocabulary.padding,
        dtype="float32",
        hidden_dropout=dropout,
    )
    model = GPTNeoXForCausalLM(config)
    # The layers have it now; a bundle's configuration is of a model that only generates.
    model.config.hidden_dropout = 0.0
    return model


def load_trained(folder: Path, vocabulary: Vocabulary, dropout: float) -> PreTrainedModel:
    """The language model of a bundle, to go on with; weights in fp32. Raises DataError for another vocabulary."""
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, hidden_dropout=dropout
    )
    if model.config.vocab_size != vocabulary.size:
        raise DataError(f"{folder}: {model.config.vocab_size} tokens, and the image tokenizer needs {vocabulary.size}")
    model.config.hidden_dropout = 0.0
    return model


@torch.no_grad()
def image_rows(text: Tensor, how: ImageEmbeddings, codebook: Tensor, generator: torch.Generator) -> Tensor:
    """Embedding rows of the image tokens, given those of the text (T, D) and the codebook (K, E): (K, D).

    `random` has the text rows' spread around zero, as in the paper; `mean` lies around their mean; `codebook` is a
    random projection of the codebook to that spread, so that similar codes begin alike.
    """
    spread = text.std()
    noise = torch.randn(len(codebook), text.shape[1], generator=generator)
    if how == "random":
        return noise * spread
    if how == "mean":
        return text.mean(0) + 0.1 * noise * spread
    projection = torch.randn(codebook.shape[1], text.shape[1], generator=generator)
    rows = (codebook - codebook.mean(0)) @ projection
    return rows / rows.std() * spread


def extend_vocabulary(
    model: PreTrainedModel, vocabulary: Vocabulary, codebook: Tensor, how: ImageEmbeddings, seed: int = 0
) -> None:
    """Give `model` an embedding and an output row for every image token, set as `how` says (see `image_rows`)."""
    known = model.get_input_embeddings().weight.shape[0]
    text = min(known, vocabulary.text_size)
    model.resize_token_embeddings(vocabulary.size, mean_resizing=True)
    generator = torch.Generator().manual_seed(seed)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        weight = layer.weight.data
        weight[vocabulary.image_offset :] = image_rows(weight[:text].float(), how, codebook, generator).to(weight)
    model.config.bos_token_id = model.config.pad_token_id = vocabulary.padding
    model.config.eos_token_id = vocabulary.end


def load_base(folder: Path, vocabulary: Vocabulary, codebook: Tensor, how: ImageEmbeddings) -> PreTrainedModel:
    """A causal language model from a Hugging Face folder, extended by the image tokens. Weights in fp32."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    extend_vocabulary(model, vocabulary, codebook, how)
    return model
