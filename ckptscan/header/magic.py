"""What a file that is no safetensors file is instead, told by its first bytes."""

from __future__ import annotations

# first bytes -> what the file is. Sources: the formats' own specifications, file(1)'s magic.
_STARTS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the weights (git lfs pull brings them)"),
    (b"version https://hawser", "a Git LFS pointer, not the weights (git lfs pull brings them)"),
    (b"PK\x03\x04", "a zip archive (PyTorch's .bin and .pt are)"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
    (b"GGUF", "a GGUF file"),
    (b"FUGG", "a big-endian GGUF file"),
    (b"tjgg", "a GGML file (llama.cpp's old format)"),
    (b"lmgg", "a GGML file (llama.cpp's old format)"),
    (b"\x1f\x8b", "gzip data"),
    (b"\xfd7zXZ\x00", "xz data"),
    (b"\x28\xb5\x2f\xfd", "Zstandard data"),
    (b"BZh", "bzip2 data"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x93NUMPY", "a NumPy .npy array"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras' .h5)"),
    (b"PAR1", "a Parquet file"),
    (b"\x7fELF", "an ELF program"),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "a PNG picture"),
    (b"<?xml", "an XML document, perhaps a server's error page"),
    (b"ckptpack", "a header pack of ckptscan"),
)
_HTML = (b"<!doctype", b"<html", b"<head", b"<body", b"<script")
_BOM = b"\xef\xbb\xbf"
# as much of a strange file as is looked at, and kept in a pack
SNIFFED = 512


def what_is(head: bytes, file_size: int) -> str | None:
    """The kind of file whose first bytes these are, as a noun phrase; None if it is not known."""
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    text = head.removeprefix(_BOM).lstrip()
    if text[:9].lower().startswith(_HTML):
        return "an HTML page, perhaps a server's error page"
    if head and not head.strip(b"\0"):
        return f"{file_size:,} bytes that begin with zeros: space reserved, perhaps never written"
    if text.startswith((b"{", b"[")):
        return "JSON text, perhaps a server's error message"
    return _plain_text(head)


def _plain_text(head: bytes) -> str | None:
    """The first line of a file that is readable ASCII text from its first byte on."""
    line = head.split(b"\n", 1)[0].strip()
    if len(line) >= 8 and head.isascii() and line.decode("ascii").isprintable():
        return f"plain text that begins {line[:60].decode('ascii')!r}"
    return None
