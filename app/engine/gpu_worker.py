"""vLLM's worker on a GPU, with our model class."""

from vllm.v1.worker.gpu_worker import Worker

from app.engine import gpt_neox

# In the engine's process and in each of a tensor-parallel one, before the model is looked up.
gpt_neox.register()


class GpuWorker(Worker):
    """The worker that `engine_arguments` names."""
