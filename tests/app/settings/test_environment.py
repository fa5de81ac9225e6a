"""Names of the environment that nothing reads stop the start, with the name that was meant."""

import pytest

from app.settings import Settings, UnknownSettings
from app.settings.environment import check_names


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CXR_AUTH_MODE", "CXR_AUTH__MODE"),
        ("CXR_TLS_CERTIFICATE", "CXR_TLS__CERTIFICATE"),
        ("CXR_LIMIT__MAX_REQUESTS", "CXR_LIMITS__MAX_REQUESTS"),
        ("CXR_DIMSE__ALLOWED_AE", "CXR_DIMSE__ALLOWED_AES"),
        ("cxr_auth_mode", "CXR_AUTH__MODE"),
        ("CXR_STATEDIR", "CXR_STATE_DIR"),
        ("CXR_ENGINE_MAX_NUM_SEQS", "CXR_ENGINE__MAX_NUM_SEQS"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_one_that_was_meant(name: str, meant: str) -> None:
    with pytest.raises(UnknownSettings, match=f"did you mean {meant}"):
        check_names(Settings, {name: "x"})


@pytest.mark.parametrize(
    "name",
    [
        "CXR_PORT", "CXR_AUTH__MODE", "cxr_auth__mode", "CXR_DESTINATIONS", "CXR_DIMSE__TENANTS",
        "CXR_DIMSE__TENANTS__CR1", "CXR_AUTH", "CXR_URL", "CXR_API_KEY", "CXR_WEBHOOK__SECRET", "PATH", "XCXR_A",
    ],
)  # fmt: skip
def test_names_that_are_read_are_taken(name: str) -> None:
    check_names(Settings, {name: "1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CXR_PORT", "tcp://10.0.0.1:8080"),
        ("CXR_SERVICE_HOST", "10.0.0.1"),
        ("CXR_SERVICE_PORT", "8080"),
        ("CXR_SERVICE_PORT_HTTP", "8080"),
        ("CXR_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("CXR_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ],
)
def test_what_kubernetes_sets_is_named_as_the_cause(name: str, value: str) -> None:
    with pytest.raises(UnknownSettings, match="enableServiceLinks"):
        check_names(Settings, {name: value})


def test_every_name_is_told_at_once_and_no_value() -> None:
    with pytest.raises(UnknownSettings) as refused:
        check_names(Settings, {"CXR_AUTH_MODE": "secret", "CXR_ZZZ": "secret"})
    assert len(refused.value.lines) == 2
    assert "secret" not in str(refused.value)
