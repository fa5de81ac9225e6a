"""Settings of studies: what becomes of them, DIMSE, destinations, webhook."""

import base64
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, field_validator, model_validator

from app.settings.access import TENANT
from app.settings.character_sets import CHARACTER_SETS
from app.settings.group import Group

# Of a key that cannot be guessed (Standard Webhooks: 24 to 64 bytes).
_LEAST_SECRET = 24

OnChange = Literal["keep", "replace_same_patient", "replace"]
OnDoubt = Literal["warn", "review"]
DocumentName = Literal["basic_text", "measurement", "capture"]
# No probability is above 1.
Threshold = Annotated[float, Field(ge=0.0, lt=1.0)]


class StudySettings(Group):
    """What becomes of a received study."""

    quiet_seconds: float = Field(default=10.0, ge=0.0, description="a study is complete this long after its last image")
    concurrency: PositiveInt = Field(default=256, description="studies waiting for completeness or being worked on")
    max_running: PositiveInt = Field(default=4, description="studies that use the model at once")
    patience_seconds: PositiveFloat = Field(
        default=2.0, description="how long a study's step lets interactive requests go first"
    )
    max_attempts: PositiveInt = Field(default=5, description="attempts at reading one study before it is failed")
    documents: tuple[DocumentName, ...] = Field(
        default=("basic_text",), description="what is written of a report: basic_text, measurement, capture"
    )
    on_change: OnChange = Field(
        default="replace_same_patient",
        description="what becomes of an instance that arrives again with other content: `keep` the first, or `replace`"
        " it, always or for the same patient, and report again",
    )
    samples: int = Field(
        default=0,
        ge=0,
        le=16,
        description="further reports drawn on a study's image to find its doubt: 2 to 16; 0: none",
    )
    doubt_above: float | None = Field(
        default=None, ge=0.0, le=1.0, description="a report is doubted whose doubt is above this; unset: none is"
    )
    on_doubt: OnDoubt = Field(
        default="warn",
        description="what becomes of a doubted report: `warn` says so in it, `review` also holds it back for a person",
    )
    findings: bool = Field(
        default=True,
        description="find the probabilities of the findings of a study's image, where the bundle declares findings: a"
        " pass of one token each beside the report",
    )
    urgent_above: Threshold | None = Field(
        default=None, description="a study is `urgent` whose probability of abnormal is above this; unset: none is"
    )
    asap_above: Threshold | None = Field(default=None, description="the same for `asap`, which goes before `urgent`")
    stat_above: Threshold | None = Field(default=None, description="the same for `stat`, which goes before `asap`")
    uncalibrated_priority: bool = Field(
        default=False, description="give a priority by a probability that is not calibrated, with a warning"
    )
    retention_hours: float = Field(default=24.0, ge=0.0, description="pixel data is kept this long after delivery")
    failed_retention_hours: float = Field(default=168.0, ge=0.0, description="the same for failed or cancelled studies")
    document_retention_days: PositiveFloat | None = Field(
        default=None, description="written documents and the text of reports are kept this long; unset: for good"
    )
    row_retention_days: PositiveFloat | None = Field(
        default=None, description="nothing of a study is kept longer than this after its last job; unset: for good"
    )
    delivery_hours: PositiveFloat = Field(default=24.0, description="a destination is tried this long")
    retry_seconds: PositiveFloat = Field(default=1.0, description="first wait before a repeated attempt; it doubles")
    max_retry_seconds: PositiveFloat = Field(default=60.0, description="longest wait before a repeated attempt")

    @model_validator(mode="after")
    def _has_samples(self) -> Self:
        if self.samples == 1:
            raise ValueError("samples: 2 at least, or 0 for none")
        if self.doubt_above is not None and not self.samples:
            raise ValueError("doubt_above: without samples there is no doubt")
        return self

    @model_validator(mode="after")
    def _thresholds_rise(self) -> Self:
        names = list(self.priority_above)
        if names and not self.findings:
            raise ValueError(f"{names[0]}_above: without findings there is no probability of abnormal")
        if self.uncalibrated_priority and not names:
            raise ValueError("uncalibrated_priority: without a threshold (urgent_above) there is no priority")
        for lower, higher in pairwise(names):
            if self.priority_above[lower] >= self.priority_above[higher]:
                raise ValueError(f"{higher}_above: must be above {lower}_above")
        return self

    @property
    def priority_above(self) -> dict[Literal["urgent", "asap", "stat"], float]:
        """The thresholds that are set by their priority, the least urgent first; empty where none is given."""
        found = {"urgent": self.urgent_above, "asap": self.asap_above, "stat": self.stat_above}
        return {name: value for name, value in found.items() if value is not None}  # type: ignore[misc]


class DimseSettings(Group):
    """The DICOM upper-layer service: C-STORE and C-ECHO."""

    port: int | None = Field(default=None, ge=0, le=65535, description="unset: off; 0: a free one")
    host: str | None = Field(default=None, description="address to listen on; unset: that of the HTTP service")
    ae_title: str = Field(default="LLMCXR", min_length=1, max_length=16, description="of the service, as SCP and SCU")
    allowed_aes: tuple[str, ...] = Field(default=(), description="calling AE titles that are let in; empty: all")
    tenants: dict[str, Annotated[str, Field(pattern=f"^{TENANT}$")]] = Field(
        default={},
        description="whose studies an AE title sends, as a JSON object of tenants; titles not named: `default`",
    )
    charsets: dict[str, str] = Field(
        default={},
        description="the character set that an AE title really uses, as a JSON object of defined terms such as"
        " `ISO_IR 192`; it replaces what the data sets say",
    )
    open_to_all: bool = Field(
        default=False,
        description="start on a network address though any AE title is let in and no client certificate asked for",
    )
    check_called_ae: bool = Field(default=True, description="refuse associations for another AE title")
    max_associations: PositiveInt = Field(default=10, description="associations at once")
    max_associations_per_ae: PositiveInt | None = Field(
        default=None, description="of one calling AE title at one address; unset: half of all"
    )
    max_associations_per_address: PositiveInt | None = Field(
        default=None, description="of one address; unset: four fifths of all"
    )
    max_half_open: PositiveInt = Field(
        default=32, description="connections without an association; the oldest gives way, and half are of one address"
    )
    artim_seconds: PositiveFloat = Field(default=15.0, description="a connection without an association ends (ARTIM)")
    idle_seconds: PositiveFloat = Field(
        default=60.0, description="an association ends this long after its last C-STORE"
    )
    max_pdu: int = Field(default=131_072, ge=4_096, description="longest P-DATA-TF PDU that is received, in bytes")
    network_timeout_seconds: PositiveFloat = Field(
        default=60.0, description="a peer that says nothing in the middle of a message is aborted"
    )
    tls_certificate: Path | None = Field(default=None, description="PEM; with tls_key turns TLS on")
    tls_key: Path | None = Field(default=None, description="PEM; the certificate's private key")
    tls_client_ca: Path | None = Field(default=None, description="PEM; clients must show a certificate it signed")

    @field_validator("charsets")
    @classmethod
    def _defined_terms(cls, charsets: dict[str, str]) -> dict[str, str]:
        for ae, terms in charsets.items():
            if unknown := [term for term in terms.split("\\") if term not in CHARACTER_SETS]:
                raise ValueError(f"{unknown[0]!r} of {ae} is no defined term of a character set (PS3.3 C.12.1.1.2)")
        return charsets

    @property
    def share_of_an_ae(self) -> int:
        """Associations that one AE title at one address may hold."""
        return self.max_associations_per_ae or (self.max_associations + 1) // 2

    @property
    def share_of_an_address(self) -> int:
        """Associations that one address may hold, under whatever AE titles: the others keep a place."""
        reserve = max(1, self.max_associations // 5)
        return self.max_associations_per_address or max(1, self.max_associations - reserve)


class DestinationSettings(Group):
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


class WebhookSettings(Group):
    """Tells another service that a study is done or has failed."""

    url: str | None = Field(default=None, pattern=r"^https?://")
    secret: SecretStr | None = Field(
        default=None,
        description="signs each message (Standard Webhooks, HMAC-SHA256): 24 bytes at least, as they are or as `whsec_`"
        " and base64",
    )
    require_protected: bool = Field(
        default=False, description="refuse to start where messages would be unsigned, or sent by plain http"
    )
    timeout_seconds: PositiveFloat = 10.0

    @model_validator(mode="after")
    def _protected(self) -> Self:
        if self.require_protected and self.doubts:
            raise ValueError("; ".join(self.doubts))
        return self

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(signing_key(secret.get_secret_value())) < _LEAST_SECRET:
            raise ValueError(f"a webhook's secret needs {_LEAST_SECRET} bytes at least")
        return secret

    @property
    def doubts(self) -> list[str]:
        """What a receiver cannot rely on, in sentences."""
        if self.url is None:
            return []
        unsigned = [] if self.secret else ["CXR_WEBHOOK__SECRET: messages are not signed; anybody can send such ones"]
        plain = self.url.startswith("http://")
        return unsigned + (["CXR_WEBHOOK__URL: messages are sent by plain http"] if plain else [])


def signing_key(secret: str) -> bytes:
    """The bytes that sign messages: those of base64 behind `whsec_`, else the secret's own. Raises ValueError."""
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        raise ValueError("a webhook's secret needs valid base64 behind whsec_") from None
