"""Settings of who may do how much, and of what operators see."""

import ipaddress
import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from app.settings.group import Group

LOOPBACK = ("127.0.0.1", "::1", "localhost")
TENANT = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
DEFAULT_TENANT = "default"
ROOT_PATH = r"^(/[A-Za-z0-9._~-]+)*$"


class LimitsSettings(Group):
    """What one request may ask for."""

    max_upload_mb: PositiveInt = Field(default=100, description="largest multipart body")
    max_study_mb: PositiveInt = Field(default=8_192, description="largest STOW-RS request, which is never in memory")
    max_instance_mb: PositiveInt = Field(default=512, description="largest DICOM instance in a STOW-RS request")
    max_instances: PositiveInt = Field(default=10_000, description="most instances in a STOW-RS request")
    min_free_mb: int = Field(default=256, ge=0, description="free disk below which no study is taken")
    max_chat_mb: PositiveInt = Field(
        default=32, description="largest chat, whose images are in base64; larger images are for forms"
    )
    max_json_mb: PositiveInt = Field(default=1, description="largest body of any other type")
    max_prompt_chars: PositiveInt = 8_000
    max_questions: PositiveInt = 16
    max_images: PositiveInt = 10
    max_text_tokens: PositiveInt = 512
    deadline_seconds: PositiveFloat = Field(default=300.0, description="longest request; X-Request-Timeout shortens it")
    # As many as the engine runs at once: more would only wait, and a longer queue answers fewer of them a second.
    max_requests: PositiveInt = Field(default=64, description="HTTP requests under way at once, health left out")
    max_requests_per_key: PositiveInt = Field(default=48, description="requests of one key under way at once")
    requests_per_minute: PositiveInt | None = Field(default=None, description="of one key; unset: no limit")
    tokens_per_day: PositiveInt | None = Field(
        default=None, description="of one key or AE title, read and written, those of its studies too; unset: no limit"
    )
    study_tokens: PositiveInt = Field(
        default=1_024,
        description="set aside of a sender's tokens per report on a study, sample and finding, until they are there",
    )
    max_kept_mb: PositiveInt = Field(
        default=1_024, description="answers kept for retries and drawings kept for their URLs, in the database"
    )
    storage: str = Field(
        default="memory://", description="where the limits count (a URL of the limits library); replicas share redis://"
    )


class HttpSettings(Group):
    """What the HTTP service is called."""

    hosts: tuple[str, ...] = Field(
        default=(),
        description="names it answers to besides those of the loopback, as a JSON list; unset: any name, where it asks"
        " for keys; where everybody is let in, none",
    )

    origins: tuple[str, ...] = Field(
        default=(),
        description="sites whose pages may call it and read its answers (CORS), as a JSON list of https://name[:port]",
    )

    root_path: str = Field(
        default="",
        pattern=ROOT_PATH,
        description="path below which a proxy offers the service, such as /cxr; the proxy may take it off or leave it",
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=("127.0.0.1", "::1"),
        description="addresses or networks whose X-Forwarded-For, -Proto and -Prefix are believed, as a JSON list",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            ipaddress.ip_network(proxy)
        return proxies

    @field_validator("origins")
    @classmethod
    def _sites(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?", origin):
                raise ValueError(f"{origin!r} is not an origin such as https://viewer.example:8443")
        return tuple(origin.lower() for origin in origins)

    @field_validator("hosts")
    @classmethod
    def _names(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not re.fullmatch(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+", host):
                raise ValueError(f"{host!r} is not a host name without scheme and port")
        return hosts


class AuthSettings(Group):
    """Who is let in over HTTP."""

    mode: Literal["auto", "required", "off"] = Field(
        default="auto", description="auto: off only on loopback without keys and OIDC; elsewhere it refuses to start"
    )
    keys_file: Path | None = Field(default=None, description="API keys; unset: keys.json in the state folder")
    oidc_issuer: str | None = Field(default=None, pattern=r"^https?://", description="turns bearer tokens (JWT) on")
    oidc_audience: str | None = None
    oidc_jwks_url: str | None = Field(default=None, pattern=r"^https?://")
    oidc_scope_claim: str = "scope"
    oidc_scope_prefix: str = Field(default="", description="cut off a token's scopes, such as `cxr.`")
    oidc_tenant_claim: str | None = Field(
        default=None, description="names a token's tenant, `*` for all; unset: every token is of the tenant `default`"
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        parts = (self.oidc_issuer, self.oidc_audience, self.oidc_jwks_url)
        if any(parts) and not all(parts):
            raise ValueError("OIDC needs oidc_issuer, oidc_audience and oidc_jwks_url")
        return self


class AuditSettings(Group):
    """The audit log, and where its events are sent besides (RFC 5424 over TLS, PS3.15 A.5)."""

    max_mb: PositiveInt = Field(default=64, description="a file of the log that is larger is put aside")
    syslog_host: str | None = Field(default=None, description="audit record repository; unset: nothing is sent")
    syslog_port: int = Field(default=6514, ge=1, le=65535)
    syslog_ca_file: Path | None = Field(default=None, description="PEM of authorities to trust; unset: the system's")
    syslog_certificate: Path | None = Field(default=None, description="PEM, shown to the repository; with its key")
    syslog_key: Path | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.syslog_certificate is None) != (self.syslog_key is None):
            raise ValueError("give both syslog_certificate and syslog_key")
        return self


class TlsSettings(Group):
    """HTTPS."""

    certificate: Path | None = Field(default=None, description="PEM; with key turns TLS on")
    key: Path | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("give both certificate and key")
        return self


class OtlpSettings(Group):
    """Traces."""

    endpoint: str | None = Field(
        default=None, pattern=r"^https?://", description="OTLP over HTTP, up to and with /v1/traces; unset: off"
    )
    sample_ratio: float = Field(default=1.0, ge=0.0, le=1.0, description="share of traces that are kept")


class DrainSettings(Group):
    """What SIGTERM begins."""

    grace_seconds: float = Field(
        default=0.0, ge=0.0, description="still serve this long after readiness ended, until balancers have noticed"
    )
    limit_seconds: PositiveFloat = Field(default=30.0, description="longest wait for requests under way")
