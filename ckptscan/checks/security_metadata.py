"""X007: metadata that hold more than a description."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ckptscan.checks.values import INFERRED, Check, Finding, Subject, Where
from ckptscan.header import quoted

LARGE = 1 << 20  # bytes of one value; a thumbnail or a training log has less
# code of Python, of a shell or of a page, and pickles of protocol 4 in base64 (gASV)
CODE = re.compile(
    r"\b(?:eval|exec|__import__|os\.system|os\.popen|subprocess\.\w+)\s*\(|"
    r"(?:^|;)\s*import\s+(?:os|sys|subprocess|socket|pickle|ctypes|builtins)\b|"
    r"(?:^|;)\s*from\s+(?:os|sys|subprocess|socket|pickle|ctypes|builtins)\s+import\b|"
    r"<script\b|javascript:|\bgASV[A-Za-z0-9+/]{16}|\bcurl\s+\S+\s*\|\s*(?:ba)?sh\b|#!/",
    re.MULTILINE | re.IGNORECASE,
)


def suspicious_metadata(subject: Subject) -> Iterator[Finding]:
    """Metadata hold what looks like code, or very much.

    What it finds: calls of `eval` or the system, imports, scripts or pickles in base64 among the
    values of `__metadata__`; as a remark, a value of more than 1 MiB that is no picture.
    Why it matters: metadata are data until a tool runs them or shows them as a page.
    Example: __metadata__ 'config' holds 'os.system('.
    What to do: read the value; drop the metadata where they are not needed.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    for shard in subject.checkpoint.table.shards:
        for key, value in shard.metadata.items():
            code = CODE.search(value[:LARGE])
            if code:
                found.setdefault((key, "warning", code[0].strip()), []).append(shard.path)
            elif len(value) > LARGE and not value.startswith("data:image/"):
                found.setdefault((key, "info", ""), []).append(shard.path)
    for (key, severity, seen), paths in found.items():
        holds = f"holds {quoted(seen)}" if seen else f"has more than {LARGE:,} characters"
        yield SUSPICIOUS.finding(
            f"__metadata__ {quoted(key)} {holds}",
            *map(Where, paths),
            severity=severity,
            confidence=INFERRED,
            hint="read the value; drop the metadata where they are not needed",
            key=key,
            seen=seen,
        )


SUSPICIOUS = Check("X007", "suspicious-metadata", "warning", suspicious_metadata)

CHECKS: tuple[Check, ...] = (SUSPICIOUS,)
