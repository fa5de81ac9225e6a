"""Settings of the parts that serve the model: imaging, codec, engine."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, model_validator

from app.settings.group import Group


class ImagingSettings(Group):
    """Limits on untrusted images, which are decoded in worker processes."""

    workers: PositiveInt = Field(default=2, description="processes that decode images")
    timeout_seconds: PositiveFloat = Field(default=30.0, description="longest decode of one image")
    memory_mb: PositiveInt = Field(default=4096, description="address space of one decoding process")
    max_pixels: PositiveInt = Field(default=64_000_000, description="largest image, rows times columns")
    min_side: PositiveInt = Field(default=64, description="smallest short side in pixels")
    max_queue: PositiveInt = Field(default=128, description="images waiting for a process")
    max_inflated_mb: PositiveInt = Field(default=256, description="largest deflated data set, once inflated")
    max_elements: PositiveInt = Field(default=100_000, description="most elements and items before the pixel data")
    max_nesting: PositiveInt = Field(default=32, le=100, description="deepest sequence in a sequence")
    max_value_mb: PositiveInt = Field(default=256, description="largest value of an element other than pixel data")
    lenient_uids: bool = Field(
        default=True, description="take instances whose UIDs have components with leading zeros, with a warning"
    )
    header_workers: PositiveInt = Field(default=2, description="processes for deflated headers and metadata")
    header_seconds: PositiveFloat = Field(default=15.0, description="longest reading of one header in a process")
    transcode_workers: PositiveInt = Field(default=2, description="processes for other transfer syntaxes and bulk data")
    transcode_seconds: PositiveFloat = Field(default=60.0, description="longest transcoding of one instance")
    max_transcoded_mb: PositiveInt = Field(default=1024, description="largest instance in another transfer syntax")


class ScreenSettings(Group):
    """What becomes of images that do not look like upright frontal chest radiographs."""

    not_chest: Literal["refuse", "warn", "off"] = Field(
        default="refuse", description="photographs, text, noise, radiographs of something else"
    )
    lateral: Literal["refuse", "warn", "off"] = Field(default="refuse", description="lateral radiographs")
    lies_wrong: Literal["turn", "warn", "refuse"] = Field(
        default="turn", description="films that lie turned or are inverted; turn: bring them upright before reading"
    )
    unstated: Literal["refuse", "warn", "off"] = Field(
        default="warn", description="DICOM images whose header names neither body part nor view, or only one of them"
    )
    unreadable: Literal["refuse", "warn", "off"] = Field(
        default="refuse", description="black, white, of one or two grey values, without any structure"
    )


class CodecSettings(Group):
    """The VQ-GAN worker and its micro-batches."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N")
    fast: bool = Field(default=False, description="GPU: bf16, channels last, compiled; a few codes may differ")
    max_batch: PositiveInt = Field(default=16, description="most images in one batch")
    max_wait_ms: float = Field(default=0.0, ge=0.0, description="longest wait of an idle worker for a batch to fill")
    max_queue: PositiveInt = Field(default=256, description="images waiting for the worker")
    keep_readings: int = Field(default=256, ge=0, description="capacity of the LRU cache of encoded images")
    threads: PositiveInt | None = Field(default=None, description="CPU threads of the worker; unset: half the cores")


class DrawSettings(Group):
    """Drawings: how they are marked as made by a model, and what becomes of those that resemble a training film."""

    signed: bool = Field(default=True, description="Content Credentials (C2PA) in PNG, JPEG and WebP drawings")
    certificate: Path | None = Field(
        default=None, description="PEM chain that drawings are signed with; unset: one that the installation makes"
    )
    key: Path | None = Field(default=None, description="PEM; the certificate's private key")
    watermark_strength: float = Field(
        default=1.0, ge=0.0, le=10.0, description="nats that green codes of the watermark are favoured by; 0: no mark"
    )
    watermark_key: SecretStr | None = Field(
        default=None, min_length=16, description="secret of the watermark; unset: one that the installation makes"
    )
    copy_limit: Annotated[float, Field(ge=0.0, le=1.0)] | Literal["off"] | None = Field(
        default=None,
        description="similarity to a training film above which a drawing is not given; 1: reported alone; off: nothing "
        "is compared; unset: the bundle's own, where it has an index",
    )
    copy_redraws: int = Field(
        default=2, ge=0, le=10, description="how often such a drawing is drawn again, before it is refused"
    )

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("give both certificate and key, or neither")
        return self


class EngineSettings(Group):
    """The vLLM engine. Names are vLLM's own."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="auto: on a CPU the model's own, on a GPU what vLLM makes of it"
    )
    model_class: Literal["auto", "own", "transformers"] = Field(
        default="auto",
        description="of a GPT-NeoX model: `own` also leaves out what cannot be drawn, `transformers` is vLLM's way;"
        " auto: own on a CPU, vLLM's on a GPU, where own has not been run",
    )
    attention: str = Field(
        default="auto",
        pattern=r"^(auto|[A-Z][A-Z0-9_]*)$",
        description="attention kernel by vLLM's name, such as `TRITON_ATTN`; auto: on a GPU the fastest that `cxr tune`"
        " has timed on this card, else vLLM's choice",
    )
    enforce_eager: bool = Field(default=False, description="skip compilation: a faster start, slower tokens")
    max_num_seqs: PositiveInt = Field(default=64, description="sequences generated at once, by each engine")
    max_model_len: PositiveInt | None = Field(default=None, description="longest prompt and answer in tokens")
    max_queue: PositiveInt = Field(default=512, description="requests waiting or running")
    decoding: Literal["constrained", "reference"] = Field(
        default="constrained", description="reference: as the published code samples, unmasked and with retries"
    )
    reference_attempts: PositiveInt = Field(default=10, description="reference: most attempts at one drawing")
    prefix_caching: bool = Field(default=True, description="keep the attention of prompt beginnings that recur")
    quantization: Literal["fp8_per_tensor", "fp8_per_channel", "int8_per_channel_weight_only"] | None = Field(
        default=None, description="quantise the weights while loading"
    )
    cuda_graphs: bool = Field(default=True, description="GPU: replay recorded steps; off saves memory")
    gpu_memory_utilization: float = Field(
        default=0.85,
        gt=0.0,
        le=1.0,
        description="share of the GPU for the engine; the published VQ-GAN needs 4 GiB beside it, and a third of one "
        "for each image in a batch",
    )
    data_parallel_size: PositiveInt = Field(
        default=1, description="engines of the whole model on this machine, each on GPUs of its own"
    )
    tensor_parallel_size: PositiveInt = Field(default=1, description="GPUs that one engine divides the model among")
    cpu_kv_cache_gib: PositiveInt = Field(default=1, description="KV cache of the CPU engine")
    probe_seconds: PositiveFloat = Field(default=10.0, description="longest wait for a probe's one token")
    max_failed_probes: PositiveInt = Field(
        default=4, description="probes of engine or codec that fail in a row, after which the process ends (status 70)"
    )
