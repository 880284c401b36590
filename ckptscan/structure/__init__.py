"""What names and shapes mean: families of tensors, the tree of modules, the layout of layers."""

from ckptscan.structure.families import Family, find_families
from ckptscan.structure.layers import LayerKind, Layers, find_layers
from ckptscan.structure.summary import DTypeUse, FileUse, Structure, describe
from ckptscan.structure.tree import End, Node, build_tree

__all__ = [
    "DTypeUse",
    "End",
    "Family",
    "FileUse",
    "LayerKind",
    "Layers",
    "Node",
    "Structure",
    "build_tree",
    "describe",
    "find_families",
    "find_layers",
]
