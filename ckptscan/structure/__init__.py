"""What names and shapes mean: families of tensors, modules and their classes, what they count."""

from ckptscan.structure.active import Active, Experts
from ckptscan.structure.attention import Attention, Latent
from ckptscan.structure.classes import ModuleClass
from ckptscan.structure.counting import Parameters
from ckptscan.structure.describing import describe, describe_like
from ckptscan.structure.families import Family, find_families
from ckptscan.structure.feed_forward import FeedForward
from ckptscan.structure.fingerprint import Fingerprint, Geometry
from ckptscan.structure.layers import LayerKind, Layers, find_layers
from ckptscan.structure.quantization import Quantization, Scheme
from ckptscan.structure.roles import Role
from ckptscan.structure.summary import DTypeUse, FileUse, Structure
from ckptscan.structure.tree import End, Node, build_tree
from ckptscan.structure.unlike import Unlike, unlike
from ckptscan.structure.wrappers import Wrapper

__all__ = [
    "Active",
    "Attention",
    "DTypeUse",
    "End",
    "Experts",
    "Family",
    "FeedForward",
    "FileUse",
    "Fingerprint",
    "Geometry",
    "Latent",
    "LayerKind",
    "Layers",
    "ModuleClass",
    "Node",
    "Parameters",
    "Quantization",
    "Role",
    "Scheme",
    "Structure",
    "Unlike",
    "Wrapper",
    "build_tree",
    "describe",
    "describe_like",
    "find_families",
    "find_layers",
    "unlike",
]
