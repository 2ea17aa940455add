"""A certificate for the edge, and the authority that vouches for it. Made anew each time, trusted by nobody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey
PEM = serialization.Encoding.PEM
AUTHORITY, HOSTS = "The local AWS", "*.cloudfront.net"
WEEK = timedelta(days=7)


def make(folder: Path) -> tuple[Path, Path]:
    """The files of the authority's certificate, and of the edge's certificate with its key."""
    authority_key, edge_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority, edge = folder / "edge-authority.pem", folder / "edge.pem"
    authority.write_bytes(certificate(AUTHORITY, authority_key, authority_key).public_bytes(PEM))
    key = edge_key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    edge.touch(mode=0o600)
    edge.write_bytes(key + certificate(HOSTS, edge_key, authority_key).public_bytes(PEM))
    return authority, edge


def certificate(name: str, key: Key, authority_key: Key) -> x509.Certificate:
    """A certificate for this name, signed by the authority. Python 3.13 wants it so (RFC 5280)."""
    is_authority = key is authority_key
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(
            common_name(AUTHORITY), common_name(name), key.public_key(), x509.random_serial_number()
        )
        .not_valid_before(now - WEEK)
        .not_valid_after(now + WEEK)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .add_extension(usage(is_authority), critical=True)
    )
    if not is_authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(authority_key, hashes.SHA256())


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def usage(is_authority: bool) -> x509.KeyUsage:
    """An authority signs certificates, a server what it says."""
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
