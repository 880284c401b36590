"""Locks: what a checkpoint was, exactly and in few words, and how it has drifted since."""

from ckptscan.lock.drift import Compared, Drift, FileDrift, Recast
from ckptscan.lock.making import lock_of, open_for_lock
from ckptscan.lock.reading import MAX_LOCK, read_lock
from ckptscan.lock.values import Block, Kind, Lock, SideFile, WeightFile
from ckptscan.lock.writing import SCHEMA, written

__all__ = [
    "MAX_LOCK",
    "SCHEMA",
    "Block",
    "Compared",
    "Drift",
    "FileDrift",
    "Kind",
    "Lock",
    "Recast",
    "SideFile",
    "WeightFile",
    "lock_of",
    "open_for_lock",
    "read_lock",
    "written",
]
