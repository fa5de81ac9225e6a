"""The certificate that drawings are signed with: the operator's, or one that the installation makes of its own."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from app.errors import CxrError
from app.private_file import made_once

_YEARS = 10
# C2PA 2.2 14.5.1.1: one of the purposes that it admits; a self-signed certificate is not admitted.
_PURPOSE = ExtendedKeyUsageOID.EMAIL_PROTECTION
_ORGANIZATION = "LLM-CXR server"
_FILE = "content-credentials.pem"
# C2PA 2.2 13.2.1: what its signatures may be made with, by the key.
_BY_CURVE = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True)
class Credentials:
    """A certificate chain, the signer's first, and its private key, both PEM; `algorithm` as C2PA calls it."""

    certificates: bytes
    key: bytes
    algorithm: str

    @classmethod
    def from_files(cls, certificates: Path, key: Path) -> "Credentials":
        """Those of the operator. Raises CxrError where they cannot be used."""
        try:
            chain, private = certificates.read_bytes(), key.read_bytes()
            signer = x509.load_pem_x509_certificates(chain)[0]
            if signer.public_key() != load_pem_private_key(private, None).public_key():
                raise ValueError("the key of another certificate")
            return cls(chain, private, _algorithm(private))
        except (OSError, ValueError, TypeError) as error:
            raise CxrError(
                "CXR_DRAW__CERTIFICATE and CXR_DRAW__KEY are to be PEM files: a chain, and its key without a password.",
                code="credentials_refused",
            ) from error

    @classmethod
    def self_made(cls, state_dir: Path) -> "Credentials":
        """Those of a state folder, made at the first call: they prove that one installation made its drawings, and
        nobody vouches for it. Raises OSError.
        """
        pem = made_once(state_dir / _FILE, _make)
        at = pem.index(b"-----BEGIN CERTIFICATE-----")
        return cls(pem[at:], pem[:at], _algorithm(pem[:at]))


def _algorithm(key: bytes) -> str:
    private = load_pem_private_key(key, None)
    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in _BY_CURVE:
        return _BY_CURVE[private.curve.name]
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(private, rsa.RSAPrivateKey):
        return "ps256"
    raise ValueError("no key of C2PA's")


def _make() -> bytes:
    """A private key, its certificate and that of the authority that signed it; the authority's key is thrown away."""
    authority, signer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    names = [_name(f"{_ORGANIZATION}, this installation"), _name("Synthetic radiographs")]
    root = (
        _certificate(names[0], names[0], authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(authority, hashes.SHA256())
    )
    leaf = (
        _certificate(names[1], names[0], signer)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_PURPOSE]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA256())
    )
    key = signer.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return b"".join((key, *(one.public_bytes(Encoding.PEM) for one in (leaf, root))))


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
