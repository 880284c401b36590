"""Source -> Checkpoint: list files, find and choose the set, read headers, join them."""

from ckptscan.checkpoint.load import load, no_collection, open_checkpoint
from ckptscan.checkpoint.peek import peek
from ckptscan.checkpoint.values import Checkpoint, FileFault, SetSummary

__all__ = [
    "Checkpoint",
    "FileFault",
    "SetSummary",
    "load",
    "no_collection",
    "open_checkpoint",
    "peek",
]
