"""Keys and encryption: one secret per service, a key of its own for every purpose."""

import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12


def derive(secret: bytes, purpose: str) -> bytes:
    """The 32-byte key for one purpose, made from a service's secret (HKDF-SHA256, RFC 5869).

    Purposes keep keys apart: whoever learns one learns nothing of the secret or of the others.
    """
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret)


def seal(key: bytes, plain: bytes, bound_to: bytes = b"") -> bytes:
    """Encrypt with AES-256-GCM: a random 12-byte nonce, then the ciphertext with its tag.

    `bound_to` is not stored, but the same bytes must be given to `unseal`: a sealed value copied to
    another row does not open there.
    """
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to)


def unseal(key: bytes, sealed: bytes, bound_to: bytes = b"") -> bytes:
    """Decrypt what `seal` made. Raises `cryptography.exceptions.InvalidTag` on any difference."""
    return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
