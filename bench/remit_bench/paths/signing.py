"""As `sending`, each message signed by DKIM with a key of 2048 bits; what stands beside it is signed beforehand."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from notifier_svc.providers.signing import Dkim
from remit_bench.measure import Comparison
from remit_bench.paths.sending import RAW, measured
from remit_bench.stage import Stage

DOMAIN, SELECTOR = "nordlicht.example", "bench"


async def run(stage: Stage) -> Comparison:
    file = _key(stage.folder / "dkim.pem")
    found = Comparison("PaymentDue → e-mail accepted, with DKIM", "messages", quoted={RAW: 2_700})
    settings = {"dkim_domain": DOMAIN, "dkim_selector": SELECTOR, "dkim_key_file": file}
    return await measured(stage, found, Dkim.read(DOMAIN, SELECTOR, file), **settings)


def _key(file: Path) -> Path:
    key = generate_private_key(public_exponent=65_537, key_size=2_048)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file
