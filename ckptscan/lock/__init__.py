"""Locks: what a checkpoint was, exactly and in few words, and how it has drifted since."""

from ckptscan.lock.drift import NO_DRIFT, Compared, Drift, FileDrift, Recast
from ckptscan.lock.making import Headers, lock_of, open_for_lock
from ckptscan.lock.reading import MAX_LOCK, read_lock
from ckptscan.lock.values import Block, Kind, Lock, SideFile, WeightFile
from ckptscan.lock.writing import SCHEMA, written

__all__ = [
    "MAX_LOCK",
    "NO_DRIFT",
    "SCHEMA",
    "Block",
    "Compared",
    "Drift",
    "FileDrift",
    "Headers",
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
