"""Weights as matrices of numbers, read window by window, however they are stored.

A plain tensor, tensor-parallel parts side by side, a joined weight, packed codes with their scales:
each gives the numbers of any window, and for packed ones how far a number may lie from what it
stands for, by the formulas of `content.dequantize`. What has to be read for a window does not
depend on what is read.
"""

from __future__ import annotations

from ckptscan.content.matrices.packed import packed
from ckptscan.content.matrices.plain import Above, Beside, Stored, Turned
from ckptscan.content.matrices.values import Cells, Matrix, Stretch, Take, Window

__all__ = [
    "Above",
    "Beside",
    "Cells",
    "Matrix",
    "Stored",
    "Stretch",
    "Take",
    "Turned",
    "Window",
    "packed",
]
