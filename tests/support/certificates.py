"""Certificates for 127.0.0.1, signed by themselves."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(directory: Path, *, name: str = "cert", ends_in: timedelta = timedelta(hours=1)) -> tuple[str, str]:
    """The paths of a certificate and its key, written whole over what is there: `<name>.pem`, `<name>-key.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "watchword test")])
    until = datetime.now(UTC) + ends_in
    made = (
        x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
        .not_valid_before(until - timedelta(hours=2))
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    unencrypted = serialization.NoEncryption()
    written = {
        directory / f"{name}.pem": made.public_bytes(serialization.Encoding.PEM),
        directory / f"{name}-key.pem": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted
        ),
    }
    for path, text in written.items():
        new = path.with_suffix(".new")
        new.write_bytes(text)
        new.replace(path)
    first, second = (str(path) for path in written)
    return first, second
