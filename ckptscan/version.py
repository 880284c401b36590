"""The version, and those of the documents that ckptscan writes, in one place."""

VERSION = "0.1.0"
# document -> the version of its fields: a field may be added, none goes or changes its meaning
SCHEMAS = {
    "inspect": 1,
    "inspect-many": 1,
    "audit": 1,
    "audit-many": 1,
    "baseline": 1,
    "checks": 1,
    "lock": 1,
    "pack": 1,
    "diff": 1,
    "plan": 1,
    "fit": 1,
    "verify": 1,
    "gpus": 1,
    "cache": 1,
    "doctor": 1,
}


def schema(document: str) -> str:
    """What a document says that it is: `ckptscan.inspect/1`."""
    return f"ckptscan.{document}/{SCHEMAS[document]}"
