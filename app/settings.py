"""The service's settings: read once from CXR_* variables and an optional TOML file, frozen, passed in."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

DEMO_BUNDLE = Path(__file__).resolve().parent.parent / "models" / "bundles" / "demo"


DocumentName = Literal["basic_text", "measurement", "capture"]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImagingSettings(_Group):
    """Limits on untrusted images, which are decoded in worker processes."""

    workers: PositiveInt = Field(default=2, description="processes that decode images")
    timeout_seconds: PositiveFloat = Field(default=30.0, description="longest decode of one image")
    memory_mb: PositiveInt = Field(default=4096, description="address space of one decoding process")
    max_pixels: PositiveInt = Field(default=64_000_000, description="largest image, rows times columns")
    min_side: PositiveInt = Field(default=64, description="smallest short side in pixels")
    max_queue: PositiveInt = Field(default=128, description="images waiting for a process")


class CodecSettings(_Group):
    """The VQ-GAN worker and its micro-batches."""

    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    fast: bool = Field(default=False, description="GPU: bf16, channels last, compiled; a few codes may differ")
    max_batch: PositiveInt = Field(default=16, description="most images in one batch")
    max_wait_ms: float = Field(default=2.0, ge=0.0, description="longest wait for a batch to fill")
    max_queue: PositiveInt = Field(default=256, description="images waiting for the worker")
    threads: PositiveInt | None = Field(default=None, description="CPU threads of the worker; unset: half the cores")


class EngineSettings(_Group):
    """The vLLM engine. Names are vLLM's own."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    enforce_eager: bool = Field(default=False, description="skip compilation: a faster start, slower tokens")
    max_num_seqs: PositiveInt = Field(default=64, description="sequences generated at once")
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
        description="share of the GPU for the engine; the VQ-GAN needs about 2 GiB beside it",
    )
    tensor_parallel_size: PositiveInt = 1
    cpu_kv_cache_gib: PositiveInt = Field(default=1, description="KV cache of the CPU engine")
    probe_seconds: PositiveFloat = Field(default=10.0, description="longest one-token readiness probe")


class StudySettings(_Group):
    """What becomes of a received study."""

    quiet_seconds: float = Field(default=10.0, ge=0.0, description="a study is complete this long after its last image")
    concurrency: PositiveInt = Field(default=256, description="studies waiting for completeness or being worked on")
    max_running: PositiveInt = Field(default=4, description="studies that use the model at once")
    max_attempts: PositiveInt = Field(default=5, description="attempts at reading one study before it is failed")
    documents: tuple[DocumentName, ...] = Field(
        default=("basic_text",), description="what is written of a report: basic_text, measurement, capture"
    )
    retention_hours: float = Field(default=24.0, ge=0.0, description="pixel data is kept this long after delivery")
    failed_retention_hours: float = Field(default=168.0, ge=0.0, description="the same for failed or cancelled studies")
    delivery_hours: PositiveFloat = Field(default=24.0, description="a destination is tried this long")
    retry_seconds: PositiveFloat = Field(default=1.0, description="first wait before a repeated attempt; it doubles")
    max_retry_seconds: PositiveFloat = Field(default=60.0, description="longest wait before a repeated attempt")


class DimseSettings(_Group):
    """The DICOM upper-layer service: C-STORE and C-ECHO."""

    port: int | None = Field(default=None, ge=0, le=65535, description="unset: off; 0: a free one")
    host: str | None = Field(default=None, description="address to listen on; unset: that of the HTTP service")
    ae_title: str = Field(default="LLMCXR", min_length=1, max_length=16)
    allowed_aes: tuple[str, ...] = Field(default=(), description="calling AE titles that are let in; empty: all")
    check_called_ae: bool = Field(default=True, description="refuse associations for another AE title")
    max_associations: PositiveInt = 10
    max_pdu: int = Field(default=131_072, ge=4_096, description="longest P-DATA-TF PDU that is received, in bytes")
    network_timeout_seconds: PositiveFloat = 60.0
    tls_certificate: Path | None = Field(default=None, description="PEM; with tls_key turns TLS on")
    tls_key: Path | None = None
    tls_client_ca: Path | None = Field(default=None, description="PEM; clients must show a certificate it signed")


class DestinationSettings(_Group):
    """Where results go: a DICOMweb service (`dicomweb_url`) or an application entity (`host`, `port`, `ae_title`)."""

    name: str = Field(min_length=1, max_length=64)
    dicomweb_url: str | None = Field(default=None, pattern=r"^https?://", description="up to and without /studies")
    username: str | None = None
    password: SecretStr | None = None
    bearer_token: SecretStr | None = None
    host: str | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    ae_title: str | None = Field(default=None, min_length=1, max_length=16)
    calling_ae_title: str | None = Field(default=None, description="unset: CXR_DIMSE__AE_TITLE")
    tls: bool = Field(default=False, description="DIMSE over TLS; HTTP takes https from the URL")
    ca_file: Path | None = Field(default=None, description="PEM of the authorities to trust; unset: the system's")
    timeout_seconds: PositiveFloat = 30.0

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        dimse = (self.host, self.port, self.ae_title)
        if (self.dicomweb_url is None) == all(part is None for part in dimse):
            raise ValueError("give either dicomweb_url, or host, port and ae_title")
        if self.dicomweb_url is None and None in dimse:
            raise ValueError("a DIMSE destination needs host, port and ae_title")
        return self


class WebhookSettings(_Group):
    """Tells another service that a study is done or has failed."""

    url: str | None = Field(default=None, pattern=r"^https?://")
    secret: SecretStr | None = Field(default=None, description="signs each message (Standard Webhooks, HMAC-SHA256)")
    timeout_seconds: PositiveFloat = 10.0


class LimitsSettings(_Group):
    """What one request may ask for."""

    max_upload_mb: PositiveInt = Field(default=100, description="largest multipart body")
    max_study_mb: PositiveInt = Field(default=8_192, description="largest STOW-RS request, which is never in memory")
    max_instance_mb: PositiveInt = Field(default=512, description="largest DICOM instance in a STOW-RS request")
    max_instances: PositiveInt = Field(default=10_000, description="most instances in a STOW-RS request")
    min_free_mb: int = Field(default=256, ge=0, description="free disk below which no study is taken")
    max_json_mb: PositiveInt = Field(default=1, description="largest body of any other type")
    max_prompt_chars: PositiveInt = 8_000
    max_questions: PositiveInt = 16
    max_images: PositiveInt = 10
    max_text_tokens: PositiveInt = 512
    deadline_seconds: PositiveFloat = 300.0


class Settings(BaseSettings):
    """Everything that can be set. Environment beats file; unknown names fail."""

    model_config = SettingsConfigDict(
        env_prefix="CXR_", env_nested_delimiter="__", frozen=True, extra="forbid", toml_file=None
    )

    bundle: Path = Field(default=DEMO_BUNDLE, description="folder of the model bundle")
    state_dir: Path = Field(default=Path("state"), description="the only place that is written to")
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    imaging: ImagingSettings = ImagingSettings()
    codec: CodecSettings = CodecSettings()
    engine: EngineSettings = EngineSettings()
    limits: LimitsSettings = LimitsSettings()
    database_url: SecretStr | None = Field(
        default=None, description="sqlite:///FILE or postgresql://...; unset: SQLite in the state folder"
    )
    node: str = Field(default="local", description="name of this replica where several share a database")
    study: StudySettings = StudySettings()
    dimse: DimseSettings = DimseSettings()
    destinations: tuple[DestinationSettings, ...] = ()
    webhook: WebhookSettings = WebhookSettings()

    @model_validator(mode="after")
    def _distinct_destinations(self) -> Self:
        names = [destination.name for destination in self.destinations]
        if len(set(names)) != len(names):
            raise ValueError("destinations: every name must be there once")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence: arguments, environment, TOML file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings from the environment and the TOML file `config`, with `overrides` on top.

    Raises pydantic.ValidationError listing everything that is wrong.
    """

    class _FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=config)

    return _FromFile(**{name: value for name, value in overrides.items() if value is not None})
