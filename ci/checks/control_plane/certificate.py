"""Certificate and keys of a control plane that lives for seconds, in a container that nothing else reaches.

They are the same each time, for what was installed with them is kept by what it was made of. So they are no secret, and
guard nothing: programs of Kubernetes speak TLS alone.
"""

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ci.stack.certificates import usage

SEED = hashlib.sha256(b"ml-serving-ci control plane without nodes").digest()
BEGIN, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
ADDRESS = ipaddress.ip_address("127.0.0.1")


@dataclass(frozen=True)
class Pair:
    """What every server shows and trusts, all PEM.

    Attributes:
        certificate: Its own authority.
        key: Its private key.
        accounts_key: The private key that tokens of service accounts are signed with.
    """

    certificate: bytes
    key: bytes
    accounts_key: bytes


def fixed() -> Pair:
    """Return them."""
    key = ed25519.Ed25519PrivateKey.from_private_bytes(SEED)
    accounts = ec.derive_private_key(int.from_bytes(SEED) >> 1, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "control plane without nodes")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ADDRESS)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(usage(digital_signature=True, sign_certificates=True), critical=True)
        .sign(key, None)
    )
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        _pem(key, serialization.PrivateFormat.PKCS8),
        # the API server refuses a key of this kind in any other form
        _pem(accounts, serialization.PrivateFormat.TraditionalOpenSSL),
    )


def _pem(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
