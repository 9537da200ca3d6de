"""Writes tests/vectors/seal.txt with libsodium's XChaCha20-Poly1305, from the description in src/seal/mod.rs alone.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install 'pynacl==1.6.2' && /tmp/venv/bin/python tests/vectors/seal.py > tests/vectors/seal.txt
"""

import base64
import hashlib
import struct

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

# Lengths of secrets around each place where the padding grows.
LENGTHS = [1, 10, 16, 20, 30, 31, 32, 62, 63, 64, 94, 95, 128, 1000, 1024]
# Context, token id, enrolment number, algorithm, format, period, T0.
ROWS = [
    ("-", "user-42/phone", 0, "SHA1", "6", 30, 0),
    ("example.org/staff", "user-42/phone", 1, "SHA256", "8", 60, 0),
    ("-", "00c5e0a4-0f3b-4a39-9a7e-6f2d9d1f5c11", 2**64 - 1, "SHA512", "10", 86400, -9223372036),
    ("Größe", "zoë/☎", 7, "SHA1", "Steam", 30, 9223372036),
    ("c" * 255, "t" * 255, 255, "SHA1", "7", 1, 1111111111),
]
KEY_IDS = ["2026-11", "a", "_old_Key-with_32_characters_0123"]


def stretch(name, count):
    """As many bytes as are wanted that look random and are the same at each run."""
    return hashlib.shake_256(name.encode()).digest(count)


def sealed(key_id, key, nonce, row, secret):
    context, token, epoch, algorithm, form, period, t0 = row
    fields = [
        b"skewgate sealed secret",
        b"" if context == "-" else context.encode(),
        b"\x01",
        key_id.encode(),
        token.encode(),
        algorithm.encode(),
        form.encode(),
        struct.pack(">q", period),
        struct.pack(">q", t0),
        struct.pack(">Q", epoch),
    ]
    data = b"".join(struct.pack(">H", len(field)) + field for field in fields)
    plain = struct.pack(">H", len(secret)) + secret
    plain += bytes(-len(plain) % 32)
    body = base64.urlsafe_b64encode(nonce + encrypt(plain, data, nonce, key)).rstrip(b"=").decode()
    return f"skewgate1.{key_id}.{body}"


print("# Sealed secrets, made by tests/vectors/seal.py with libsodium.")
print("# One a line: key (hex), nonce (hex), context (- for none), token id, enrolment number, algorithm, format, period (s),")
print("# T0 (s since 1970), secret (hex), sealed text.")
for number, length in enumerate(LENGTHS):
    key_id = KEY_IDS[number % len(KEY_IDS)]
    row = ROWS[number % len(ROWS)]
    key, nonce, secret = (stretch(f"{what} {number}", n) for what, n in [("key", 32), ("nonce", 24), ("secret", length)])
    text = sealed(key_id, key, nonce, row, secret)
    print(key.hex(), nonce.hex(), *row, secret.hex(), text)
