"""Reads an archive file from proto/ARCHIVE.md alone, encrypted or not, without code of walcast.

Options: archive (hex), identity (private key of a recipient, hex). Prints one JSON object: kind,
fromChecksum, and points with txid, checksum, pages and images (page number and hex).
"""

import hashlib
import json
import struct
import sys
import zlib

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

options = json.loads(sys.argv[1])
archive = bytes.fromhex(options["archive"])


def derived(secret, info):
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)


assert archive[:8] == b"walcast\x1a" and archive[-16:-8] == b"\x1atsaclaw"
version, length = struct.unpack_from("<II", archive, 8)
assert version == 1
header_bytes = archive[: 16 + length + 8]
header = json.loads(header_bytes[16 : 16 + length])


def part_cipher():
    own = X25519PrivateKey.from_private_bytes(bytes.fromhex(options["identity"]))
    recipient = own.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    name = hashlib.sha256(b"walcast archive recipient 1\0" + recipient).hexdigest()[:16]
    [wrapped] = [key["key"] for key in header["seal"]["keys"] if key["recipient"] == name]
    ephemeral = bytes.fromhex(header["seal"]["ephemeral"])
    shared = own.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    wrapping = derived(shared, b"walcast archive 1 wrap\0" + ephemeral + recipient)
    file_key = AESGCM(wrapping).decrypt(bytes(12), bytes.fromhex(wrapped), None)
    about = b"walcast archive 1 parts\0" + hashlib.sha256(header_bytes).digest()
    return AESGCM(derived(file_key, about))


cipher = part_cipher() if header["seal"] else None


def unpacked(stored, kind, number):
    packed = cipher.decrypt(struct.pack("<IQ", kind, number), stored, None) if cipher else stored
    return zlib.decompress(packed, -15) if header["codec"] == "deflate" else packed


table_at, blocks, index_bytes, raw_bytes = struct.unpack_from("<QIII", archive, len(archive) - 56)
index_at = table_at + 16 * blocks
assert index_at + index_bytes == len(archive) - 56
index = unpacked(archive[index_at : index_at + index_bytes], 2, 0)
assert len(index) == raw_bytes

content = b""
at = len(header_bytes)
for number in range(blocks):
    [stored_bytes] = struct.unpack_from("<I", archive, table_at + 16 * number)
    content += unpacked(archive[at : at + stored_bytes], 1, number)
    at += stored_bytes
assert at == table_at

count, images, flags, _, before = struct.unpack_from("<IIIIQ", index)
numbers = struct.unpack_from(f"<{images}I", index, 24 + 32 * count)
size = header["pageSize"]
points = []
image = 0
for i in range(count):
    txid, checksum, time_ms, pages, changed = struct.unpack_from("<QQQII", index, 24 + 32 * i)
    ends = image + changed
    point = {"txid": txid, "checksum": f"{checksum:016x}", "timeMs": time_ms, "pages": pages}
    places = range(image, ends)
    point["images"] = [[numbers[j], content[j * size : (j + 1) * size].hex()] for j in places]
    points.append(point)
    image = ends
print(json.dumps({"kind": header["kind"], "fromChecksum": f"{before:016x}", "points": points}))
