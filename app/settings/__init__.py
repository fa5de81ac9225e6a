"""The service's settings: read once from CXR_* variables and an optional TOML file, frozen, passed in."""

import os
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from app.settings.access import (
    DEFAULT_TENANT,
    LOOPBACK,
    TENANT,
    AuditSettings,
    AuthSettings,
    DrainSettings,
    HttpSettings,
    LimitsSettings,
    OtlpSettings,
    TlsSettings,
)
from app.settings.environment import UnknownSettings, check_names
from app.settings.scale import ScaleSettings
from app.settings.serving import CodecSettings, DrawSettings, EngineSettings, ImagingSettings, ScreenSettings
from app.settings.studies import (
    DestinationSettings,
    DimseSettings,
    DocumentName,
    OnChange,
    StudySettings,
    WebhookSettings,
)
from models.bundles import DEMO_BUNDLE

__all__ = [
    "DEFAULT_TENANT",
    "LOOPBACK",
    "TENANT",
    "AuditSettings",
    "AuthSettings",
    "CodecSettings",
    "DestinationSettings",
    "DimseSettings",
    "DocumentName",
    "DrainSettings",
    "DrawSettings",
    "EngineSettings",
    "HttpSettings",
    "ImagingSettings",
    "LimitsSettings",
    "OnChange",
    "OtlpSettings",
    "ScaleSettings",
    "ScreenSettings",
    "Settings",
    "StudySettings",
    "TlsSettings",
    "UnknownSettings",
    "WebhookSettings",
    "load_settings",
]


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
    screen: ScreenSettings = ScreenSettings()
    codec: CodecSettings = CodecSettings()
    engine: EngineSettings = EngineSettings()
    scale: ScaleSettings = ScaleSettings()
    draw: DrawSettings = DrawSettings()
    limits: LimitsSettings = LimitsSettings()
    database_url: SecretStr | None = Field(
        default=None, description="sqlite:///FILE or postgresql://...; unset: SQLite in the state folder"
    )
    node: str = Field(
        default="local",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="name of this replica where several share a database and a state folder",
    )
    timezone: str | None = Field(
        default=None,
        description="time zone of documents on images that state none, such as Europe/Vienna; unset: this machine's",
    )
    study: StudySettings = StudySettings()
    dimse: DimseSettings = DimseSettings()
    destinations: tuple[DestinationSettings, ...] = ()
    webhook: WebhookSettings = WebhookSettings()
    http: HttpSettings = HttpSettings()
    auth: AuthSettings = AuthSettings()
    audit: AuditSettings = AuditSettings()
    tls: TlsSettings = TlsSettings()
    otlp: OtlpSettings = OtlpSettings()
    drain: DrainSettings = DrainSettings()

    @model_validator(mode="after")
    def _distinct_destinations(self) -> Self:
        names = [destination.name for destination in self.destinations]
        if len(set(names)) != len(names):
            raise ValueError("destinations: every name must be there once")
        return self

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError(f"{name!r} is no time zone such as Europe/Vienna") from None
        return name

    @property
    def zone(self) -> ZoneInfo | None:
        """The time zone of documents on images that state none; None: this machine's."""
        return None if self.timezone is None else ZoneInfo(self.timezone)

    @property
    def keys_file(self) -> Path:
        """Where the API keys are."""
        return self.auth.keys_file or self.state_dir / "keys.json"

    @property
    def dimse_refusal(self) -> str | None:
        """Why DIMSE is not started: on a network, AE titles or certificates decide who may store, or nobody does."""
        host = self.dimse.host or self.host
        closed = self.dimse.allowed_aes or self.dimse.tls_client_ca is not None or self.dimse.open_to_all
        if self.dimse.port is None or host in LOOPBACK or closed:
            return None
        return (
            f"CXR_DIMSE__PORT: {host} is open to a network and any AE may store: list them in CXR_DIMSE__ALLOWED_AES, "
            "ask for certificates of CXR_DIMSE__TLS_CLIENT_CA, or set CXR_DIMSE__OPEN_TO_ALL=true"
        )

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

    Raises pydantic.ValidationError listing everything that is wrong, UnknownSettings, and SettingsError where a list or
    a table is no JSON.
    """
    check_names(Settings, os.environ)

    class _FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=config)

    return _FromFile(**{name: value for name, value in overrides.items() if value is not None})
