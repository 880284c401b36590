"""The format's dtypes as torch has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ckptscan.dtypes import DType

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

# safetensors 0.8.0, torch.py, _TYPES; those that a version of torch lacks are loaded as bytes
_NAMES = {
    "BOOL": "bool",
    "F4": "float4_e2m1fn_x2",
    "U8": "uint8",
    "I8": "int8",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "I16": "int16",
    "U16": "uint16",
    "F16": "float16",
    "BF16": "bfloat16",
    "I32": "int32",
    "U32": "uint32",
    "F32": "float32",
    "C64": "complex64",
    "F64": "float64",
    "I64": "int64",
    "U64": "uint64",
}
# what Metal has no kernels for
_NOT_ON_METAL = frozenset(("F64", "C64", "U64", "U32", "U16"))


def torch_dtype(name: str, device: str) -> torch.dtype | None:
    """Torch's dtype for one of the format's on such a device; None where it has none."""
    import torch

    is_absent = device == "mps" and (name in _NOT_ON_METAL or name.startswith(("F8", "F4")))
    found: Any = getattr(torch, _NAMES.get(name, ""), None) if not is_absent else None
    return found if isinstance(found, torch.dtype) else None


class Kind(NamedTuple):
    """A dtype of torch, and the shape that torch gives a tensor of it."""

    dtype: torch.dtype
    shape: tuple[int, ...]


def kind_in_torch(dtype: DType, shape: tuple[int, ...], device: str) -> Kind | None:
    """What such a tensor is in torch on such a device; None where torch has nothing like it.

    Two elements of four bits are one of its own, so that a row has an even number of them.
    """
    found = torch_dtype(dtype.name, device)
    if found is None or dtype.bits != 4:
        return None if found is None else Kind(found, shape)
    return Kind(found, (*shape[:-1], shape[-1] // 2)) if shape and shape[-1] % 2 == 0 else None


def unlike(tensor: torch.Tensor, promised: Kind, device: torch.device) -> Iterator[str]:
    """How a loaded tensor differs from what its header promises, in words."""
    dtype, shape = promised
    if tensor.dtype != dtype:
        yield f"it is loaded as {tensor.dtype}, the header promises {dtype}"
    if tuple(tensor.shape) != shape:
        yield f"it is loaded with shape {list(tensor.shape)}, the header promises {list(shape)}"
    if not tensor.is_contiguous():
        yield f"it is loaded with strides {list(tensor.stride())}, which are not those of its shape"
    if tensor.device.type != device.type:
        yield f"it is loaded onto {tensor.device}, not onto {device}"
