"""The figures of a tensor that lies on a device, counted there: only the counts come back.

Bytes are what is counted, under the dtype that the header says: torch has no type for some of the
format's dtypes, and few of its devices calculate in the rare ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ckptscan.content.formats import LAYOUTS
from ckptscan.verify.figures import (
    Figures,
    element_bytes,
    figures_of_counts,
    is_coded,
    joined,
)

if TYPE_CHECKING:
    import torch

_AT_ONCE = 1 << 20  # elements; a few times 8 MiB of the device's memory beside the tensor
_FLOATS = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "C64": "float32"}
_INTEGERS = {"I16": "int16", "U16": "int16", "I32": "int32", "U32": "int32"}


def figures_on_device(dtype: str, tensor: torch.Tensor) -> Figures:
    """The figures of a tensor's elements, which are of this dtype of the format.

    The tensor may be of any torch dtype, such as bytes; it has to be contiguous.
    """
    import torch

    raw = tensor.detach().reshape(-1).view(torch.uint8)
    found = Figures()
    for chunk in _chunks(raw, element_bytes(dtype)):
        if is_coded(dtype):
            counts = _histogram(dtype, chunk).cpu().numpy()
            found = joined(found, figures_of_counts(dtype, counts))
        elif dtype in ("I64", "U64"):
            found = joined(found, _wide(dtype, chunk))
        else:
            found = joined(found, _numbers(dtype, chunk))
    return found


def _chunks(raw: torch.Tensor, width: int) -> Iterator[torch.Tensor]:
    step = _AT_ONCE * width
    for start in range(0, len(raw) // width * width, step):
        yield raw[start : start + step]


def _histogram(dtype: str, raw: torch.Tensor) -> torch.Tensor:
    """How often each code of a dtype of at most 8 bits stands in some bytes."""
    import torch

    bits = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}.get(dtype, 8)
    if bits == 6:
        triples = raw.reshape(-1, 3).to(torch.int32)
        joint = triples[:, 0] | triples[:, 1] << 8 | triples[:, 2] << 16
        return sum(
            (torch.bincount(joint >> shift & 0x3F, minlength=64) for shift in (0, 6, 12, 18)),
            start=torch.zeros(64, dtype=torch.int64, device=raw.device),
        )
    counts = torch.bincount(raw, minlength=256)
    if bits == 8:
        return counts
    pairs = counts.reshape(16, 16)
    return pairs.sum(dim=0) + pairs.sum(dim=1)


def _numbers(dtype: str, raw: torch.Tensor) -> Figures:
    """Floats and integers of two bytes and more, in the widest float that the device has."""
    import torch

    wide = torch.float32 if raw.device.type == "mps" else torch.float64
    if dtype in LAYOUTS:
        numbers = raw.view(getattr(torch, _FLOATS.get(dtype, "float64"))).to(wide)
    else:
        signed = raw.view(getattr(torch, _INTEGERS[dtype])).to(torch.int64)
        bits = 8 * raw.element_size() * (len(raw) // len(signed))
        numbers = (signed & (1 << bits) - 1 if dtype.startswith("U") else signed).to(wide)
    is_nan, is_inf = numbers.isnan(), numbers.isinf()
    odd = is_nan | is_inf
    held = numbers.masked_fill(odd, 0.0)
    zeros = (numbers == 0).sum()
    lowest = numbers.masked_fill(odd, float("inf")).amin()
    highest = numbers.masked_fill(odd, float("-inf")).amax()
    count = (~odd).sum()
    # of numbers near the limit the sum overflows
    largest = held.abs().amax().clamp(min=torch.finfo(wide).tiny)
    scaled = held / largest
    mean = scaled.sum() / count
    spread = ((scaled - mean).masked_fill(odd, 0.0) ** 2).sum() / count
    told = (is_nan.sum(), is_inf.sum(), zeros, count)
    nan, inf, zero, finite = (int(one) for one in torch.stack(told).cpu().tolist())
    ends = torch.stack((lowest, highest, mean * largest, spread.sqrt() * largest))
    low, high, average, deviation = ends.cpu().tolist()
    if not finite:
        return Figures(len(numbers), nan, inf, zero)
    if dtype not in LAYOUTS:
        low, high = int(low), int(high)
    return Figures(len(numbers), nan, inf, zero, low, high, average, deviation)


def _wide(dtype: str, raw: torch.Tensor) -> Figures:
    """Integers of 64 bits, whose extremes no float holds."""
    import torch

    signed = raw.view(torch.int64)
    offset = 1 << 63 if dtype == "U64" else 0
    # with the highest bit turned, unsigned ones come in the order of signed ones
    ordered = signed ^ -(1 << 63) if offset else signed
    zeros = int((signed == 0).sum())
    lowest, highest = int(ordered.min()) + offset, int(ordered.max()) + offset
    wide = torch.float32 if raw.device.type == "mps" else torch.float64
    numbers = ordered.to(wide)
    mean = float(numbers.mean())
    spread = float(((numbers - mean) ** 2).mean()) ** 0.5
    return Figures(len(signed), 0, 0, zeros, lowest, highest, mean + offset, spread)
