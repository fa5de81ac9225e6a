"""vLLM's worker on a CPU, with our model class, and its output layer and sampler cut to the ids that can be drawn."""

from typing import TYPE_CHECKING, Any

import torch
from vllm.v1.outputs import SamplerOutput
from vllm.v1.sample.sampler import Sampler
from vllm.v1.worker.cpu_worker import CPUWorker

from app.engine import gpt_neox
from app.engine.compiled import load_what_was_compiled
from app.engine.masking import TextImageMaskV1

if TYPE_CHECKING:
    from vllm.v1.sample.metadata import SamplingMetadata

# In the engine's process and in each of a tensor-parallel one, before the model is looked up.
gpt_neox.register()
load_what_was_compiled()


class WindowSampler(Sampler):
    """Draws from logits of image ids alone; all others are vLLM's to sample."""

    def __init__(self, masks: TextImageMaskV1, sampler: Sampler) -> None:
        super().__init__(sampler.logprobs_mode, sampler.use_fp64_gumbel)
        self._masks = masks

    def forward(
        self, logits: torch.Tensor, sampling_metadata: "SamplingMetadata", *args: Any, **kwargs: Any
    ) -> SamplerOutput:
        """Ids (rows, 1) of logits (rows, columns)."""
        base = self._masks.output_rows.base
        if not base:
            return super().forward(logits, sampling_metadata, *args, **kwargs)
        ids = self._masks.draw(logits.float(), base)
        return SamplerOutput(sampled_token_ids=ids.to(torch.int32).unsqueeze(-1), logprobs_tensors=None)


class CpuWorker(CPUWorker):
    """The worker that `engine_arguments` names."""

    def load_model(self, *args: Any, **kwargs: Any) -> None:
        """Load the model, and have its output layer ask the logits processor which ids a step can use."""
        super().load_model(*args, **kwargs)
        runner = self.model_runner
        masks = next((one for one in runner.input_batch.logitsprocs.all if isinstance(one, TextImageMaskV1)), None)
        if masks is not None and isinstance(runner.model, gpt_neox.GPTNeoXForCausalLM):
            runner.model.output_rows = masks.output_rows
            runner.sampler = WindowSampler(masks, runner.sampler)
