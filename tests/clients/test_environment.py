"""The clients' environment: what it is made of, and when its tests are left out."""

import json

import pytest

from tests.clients.environment import NODE_LOCK, Unreachable, failure


def test_every_package_of_npm_has_its_exact_version_and_hash_and_no_host() -> None:
    lock = json.loads(NODE_LOCK.read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name
    asked = json.loads(NODE_LOCK.with_name("package.json").read_text())["dependencies"]
    assert asked == {name: packages[f"node_modules/{name}"]["version"] for name in asked}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("WARNING: Retrying after connection broken by 'NewConnectionError(...)'", Unreachable),
        ("WARNING: Retrying after connection broken by 'NameResolutionError(...)'", Unreachable),
        ("npm error code ENOTFOUND\nnpm error syscall getaddrinfo", Unreachable),
        ("npm error code ECONNREFUSED", Unreachable),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", RuntimeError),
        ("ERROR: Could not find a version that satisfies the requirement litellm==1.108.7", RuntimeError),
        ("npm error code EINTEGRITY", RuntimeError),
        ("npm error code E404", RuntimeError),
        ("", RuntimeError),
    ],
)
def test_only_a_registry_that_cannot_be_reached_leaves_the_clients_out(said: str, kind: type[Exception]) -> None:
    assert type(failure(said)) is kind
