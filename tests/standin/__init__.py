"""A local stand-in for the Hugging Face Hub, honest enough for its unmodified client."""

from tests.standin.content import (
    Blob,
    Repository,
    blob_of,
    commit_of,
    repository_of_files,
    repository_of_pack,
)
from tests.standin.faults import HOSTILE, Faults, Switch, limited, retry_after, retry_after_date
from tests.standin.server import Standin
from tests.standin.wire import Request

__all__ = [
    "HOSTILE",
    "Blob",
    "Faults",
    "Repository",
    "Request",
    "Standin",
    "Switch",
    "blob_of",
    "commit_of",
    "limited",
    "repository_of_files",
    "repository_of_pack",
    "retry_after",
    "retry_after_date",
]
