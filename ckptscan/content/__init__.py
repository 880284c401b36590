"""Tensor bytes, only when asked: ranges -> blocks -> statistics and digests."""

from ckptscan.content.peeking import peek_content
from ckptscan.content.reading import Progress, read_content
from ckptscan.content.values import Content, RowUse, Sample, Statistics, Wish

__all__ = [
    "Content",
    "Progress",
    "RowUse",
    "Sample",
    "Statistics",
    "Wish",
    "peek_content",
    "read_content",
]
