"""GPT-NeoX (Black et al. 2022) of vLLM's own layers; vLLM 0.32 itself runs it through the Transformers library.

`register` puts it under the architecture's name into vLLM's registry, in each process that asks for it. Attention and
feed-forward read one normalisation of the same vector, add to it together, and are summed between the cards of a
tensor-parallel engine in one step. `OutputRows` says which rows of the vocabulary a step needs.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional
from vllm import ModelRegistry
from vllm.compilation.decorators import support_torch_compile
from vllm.config import VllmConfig
from vllm.distributed import get_tensor_model_parallel_world_size, tensor_model_parallel_all_reduce
from vllm.model_executor.layers.activation import get_act_fn
from vllm.model_executor.layers.attention import Attention
from vllm.model_executor.layers.linear import ColumnParallelLinear, QKVParallelLinear, RowParallelLinear
from vllm.model_executor.layers.logits_processor import LogitsProcessor
from vllm.model_executor.layers.rotary_embedding import get_rope
from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead, VocabParallelEmbedding
from vllm.model_executor.model_loader.weight_utils import default_weight_loader
from vllm.model_executor.models.utils import maybe_prefix

from app.engine.output_rows import OutputRows

if TYPE_CHECKING:
    from transformers import GPTNeoXConfig
    from vllm.sequence import IntermediateTensors

ARCHITECTURE = "GPTNeoXForCausalLM"
# The Transformers library has named the output layer the first way since its version 5.
_OUTPUT = ("lm_head.", "embed_out.")
# What older checkpoints hold beside the weights: the causal mask, and the angles of the rotary embedding.
_NO_WEIGHTS = (".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq")


def register() -> None:
    """Have vLLM run GPT-NeoX by the class of this module. May be called again."""
    ModelRegistry.register_model(ARCHITECTURE, GPTNeoXForCausalLM)


class _Attention(nn.Module):
    """Self-attention; the first quarter, or what the bundle says, of each head is turned by its position."""

    def __init__(self, vllm_config: VllmConfig, prefix: str) -> None:
        super().__init__()
        config: GPTNeoXConfig = vllm_config.model_config.hf_config
        heads, bias = config.num_attention_heads, getattr(config, "attention_bias", True)
        size = config.hidden_size // heads
        quantization = vllm_config.quant_config
        self.query_key_value = QKVParallelLinear(
            config.hidden_size, size, heads, bias=bias, quant_config=quantization, prefix=f"{prefix}.query_key_value"
        )
        self.dense = RowParallelLinear(
            config.hidden_size,
            config.hidden_size,
            bias=bias,
            quant_config=quantization,
            reduce_results=False,
            skip_bias_add=True,
            prefix=f"{prefix}.dense",
        )
        self.rotary = get_rope(
            size, max_position=config.max_position_embeddings, rope_parameters=dict(config.rope_parameters)
        )
        self.attention = Attention(
            heads // get_tensor_model_parallel_world_size(),
            size,
            size**-0.5,
            cache_config=vllm_config.cache_config,
            quant_config=quantization,
            prefix=f"{prefix}.attn",
        )

    def forward(self, positions: torch.Tensor, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        projected, _ = self.query_key_value(hidden)
        query, key, value = projected.chunk(3, dim=-1)
        query, key = self.rotary(positions, query, key)
        return self.dense(self.attention(query, key, value))


class _FeedForward(nn.Module):
    def __init__(self, vllm_config: VllmConfig, prefix: str) -> None:
        super().__init__()
        config: GPTNeoXConfig = vllm_config.model_config.hf_config
        hidden, inner = config.hidden_size, config.intermediate_size
        quantization = vllm_config.quant_config
        self.dense_h_to_4h = ColumnParallelLinear(
            hidden, inner, quant_config=quantization, prefix=f"{prefix}.dense_h_to_4h"
        )
        self.dense_4h_to_h = RowParallelLinear(
            inner,
            hidden,
            quant_config=quantization,
            reduce_results=False,
            skip_bias_add=True,
            prefix=f"{prefix}.dense_4h_to_h",
        )
        self.activation = get_act_fn(config.hidden_act)

    def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        inner, _ = self.dense_h_to_4h(hidden)
        return self.dense_4h_to_h(self.activation(inner))


class _Layer(nn.Module):
    def __init__(self, vllm_config: VllmConfig, prefix: str) -> None:
        super().__init__()
        config: GPTNeoXConfig = vllm_config.model_config.hf_config
        self.parallel = config.use_parallel_residual
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = _Attention(vllm_config, f"{prefix}.attention")
        self.mlp = _FeedForward(vllm_config, f"{prefix}.mlp")

    def forward(self, positions: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        before, after = self.input_layernorm, self.post_attention_layernorm
        if not self.parallel:
            hidden = _added(hidden, self.attention(positions, before(hidden)))
            return _added(hidden, self.mlp(after(hidden)))
        # Both norms are of one vector: it is brought to mean 0 and variance 1 once.
        normal = functional.layer_norm(hidden, hidden.shape[-1:], eps=before.eps)
        attended = self.attention(positions, torch.addcmul(before.bias, normal, before.weight))
        return _added(hidden, attended, self.mlp(torch.addcmul(after.bias, normal, after.weight)))


def _added(hidden: torch.Tensor, *shares: tuple[torch.Tensor, torch.Tensor | None]) -> torch.Tensor:
    """Hidden vectors and the sum of every card's shares, each of which goes with a bias that is added once."""
    total = sum(share for share, _ in shares)
    if get_tensor_model_parallel_world_size() > 1:
        total = tensor_model_parallel_all_reduce(total)
    for _, bias in shares:
        if bias is not None:
            hidden = hidden + bias
    return hidden + total


@support_torch_compile
class GPTNeoXModel(nn.Module):
    """The layers, without the output."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        config: GPTNeoXConfig = vllm_config.model_config.hf_config
        self.embed_in = VocabParallelEmbedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(
            _Layer(vllm_config, f"{prefix}.layers.{number}") for number in range(config.num_hidden_layers)
        )
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(
        self, input_ids: torch.Tensor | None, positions: torch.Tensor, inputs_embeds: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Hidden vectors (tokens, hidden size) of ids, or of their embeddings."""
        hidden = self.embed_in(input_ids) if inputs_embeds is None else inputs_embeds
        for layer in self.layers:
            hidden = layer(positions, hidden)
        return self.final_layer_norm(hidden)


class GPTNeoXForCausalLM(nn.Module):
    """The model as vLLM's runners call it."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        config: GPTNeoXConfig = vllm_config.model_config.hf_config
        self.config = config
        self.gpt_neox = GPTNeoXModel(vllm_config=vllm_config, prefix=maybe_prefix(prefix, "gpt_neox"))
        self.embed_out = ParallelLMHead(
            config.vocab_size,
            config.hidden_size,
            quant_config=vllm_config.quant_config,
            prefix=maybe_prefix(prefix, "embed_out"),
        )
        if config.tie_word_embeddings:
            self.embed_out = self.embed_out.tie_weights(self.gpt_neox.embed_in)
        self.logits_processor = LogitsProcessor(config.vocab_size)
        # Set by the worker where the logits processor says which ids a step can use.
        self.output_rows: OutputRows | None = None

    def embed_input_ids(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Vectors (tokens, hidden size) of ids."""
        return self.gpt_neox.embed_in(input_ids)

    def forward(
        self,
        input_ids: torch.Tensor | None,
        positions: torch.Tensor,
        intermediate_tensors: "IntermediateTensors | None" = None,
        inputs_embeds: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Hidden vectors (tokens, hidden size) of one step."""
        return self.gpt_neox(input_ids, positions, inputs_embeds)

    def compute_logits(self, hidden_states: torch.Tensor) -> torch.Tensor | None:
        """Logits (rows, vocabulary) of hidden vectors, or of the ids that `output_rows` says; None on cards that do not
        sample.
        """
        weight = self.embed_out.weight
        # Not where the rows are divided between cards, or quantised.
        if (
            self.output_rows is not None
            and weight.shape[0] >= self.config.vocab_size
            and weight.dtype == hidden_states.dtype
        ):
            logits = self.output_rows.logits(hidden_states, weight[: self.config.vocab_size])
            if logits is not None:
                return logits
        return self.logits_processor(self.embed_out, hidden_states)

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        """Take the weights of a checkpoint in the Transformers library's layout; returns the names that it set.

        Raises KeyError at a weight that the model does not have.
        """
        mine = dict(self.named_parameters())
        loaded = set()
        for given, weight in weights:
            name = given.replace(*_OUTPUT)
            if name.endswith(_NO_WEIGHTS) or (self.config.tie_word_embeddings and name == "embed_out.weight"):
                continue
            load = getattr(mine[name], "weight_loader", default_weight_loader)
            if ".query_key_value." in name:
                # The checkpoint has query, key and value of one head after another, vLLM all queries first.
                by_head = weight.view(self.config.num_attention_heads, 3, -1, *weight.shape[1:])
                for part, shard in zip("qkv", by_head.unbind(1), strict=True):
                    load(mine[name], shard.flatten(0, 1), part)
            else:
                load(mine[name], weight)
            loaded.add(name)
        return loaded
