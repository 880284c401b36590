"""V005: whether a file's bytes are those that its publisher has."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checks.places import bounded
from ckptscan.checks.values import Check, Finding, Subject, Where


def wrong_digest(subject: Subject) -> Iterator[Finding]:
    """A file's sha256 is another one than it should have.

    What it finds: weight files whose bytes have another sha256 than the Hub lists for them, or than
    the name of their blob in the local Hugging Face cache says.
    Why it matters: a download may end with the right size and wrong bytes (huggingface_hub#3643:
    four downloads, four wrong hashes); nothing else tells a flipped bit.
    Example: model-00002-of-00004.safetensors has 5c1f..., the Hub lists 9ab0...
    What to do: delete the file and download it again; if it stays so, test the disk and memory.
    """
    digests = subject.given.digests or {}
    for shard in subject.checkpoint.table.shards:
        seen = digests.get(shard.path)
        if seen is None or shard.digest is None or seen == shard.digest:
            continue
        yield WRONG.finding(
            "the file's bytes are not those of its publisher",
            *bounded([Where(shard.path)]),
            hint="delete the file and download it again",
            expected=shard.digest,
            seen=seen,
        )


WRONG = Check("V005", "wrong-digest", "error", wrong_digest, "digests")
CHECKS: tuple[Check, ...] = (WRONG,)
