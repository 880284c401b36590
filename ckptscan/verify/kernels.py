"""One real operation of each kind in the stored dtype: whether this device has kernels for it.

A matrix is multiplied with a few rows of numbers, rows of a table are looked up; the result has to
be finite and near to the same on the host in float32. What torch has no operation for is skipped,
and said why; nothing here raises because a device lacks something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

_ROWS, _COLUMNS = 256, 4096  # of a weight that is multiplied
_BATCH = 32  # rows that it is multiplied with; _int_mm wants more than 16
_TILE = 16  # _scaled_mm wants whole tiles: torch/csrc, aten/native/cuda/ScaledBlas.cpp
# how far a result may be from that in float32, as a share of it: rounding of inputs and outputs
_NEAR = {"F64": 1e-6, "F32": 1e-3, "F16": 4e-3, "BF16": 2e-2}
_NEAR_8 = 2e-2  # the result is BF16
_FLOAT8 = frozenset("F8_E4M3 F8_E5M2 F8_E4M3FNUZ F8_E5M2FNUZ".split())
_LOOKED_UP = frozenset(_NEAR)
_FLOAT8_CAPABILITY = 89  # Ada; Hopper is 90
_INT8_CAPABILITY = 75  # Turing: cuBLAS's int8 tensor operations
_SAID = 200  # characters of what torch says


class Trial(NamedTuple):
    """One operation on one tensor in its stored dtype.

    `needs` is what a device must have for it, "" for nothing special. `skipped` says why it was not
    tried, `refused` in torch's words why the device does not take it, `problem` what is wrong with
    the result; `gap` is how far that is from the reference, as a share of it.
    """

    tensor: str
    dtype: str
    operation: str
    needs: str = ""
    skipped: str = ""
    refused: str = ""
    problem: str = ""
    gap: float | None = None


def operation_of(role: str, dims: int) -> str:
    """The operation that a tensor of this role is for: `embedding`, `linear`; "" for none."""
    if dims < 2 or role in ("quantization", "buffer", "rope"):
        return ""
    return "embedding" if role == "embedding" and dims == 2 else "linear"


def needs_of(dtype: str) -> str:
    """What a device must have to calculate in a dtype, "" for nothing special."""
    if dtype.endswith("FNUZ"):
        return "an AMD MI300 (gfx942)"
    if dtype in _FLOAT8:
        return "compute capability 8.9 (Ada, Hopper, Blackwell)"
    return "compute capability 7.5 (Turing)" if dtype == "I8" else ""


def lacking(dtype: str, kind: str, capability: int) -> str:
    """Why a device is known to lack kernels for a dtype, "" where it may have them.

    `kind` is torch's of the device, `capability` CUDA's as 89, or 0 where there is none.
    """
    least = {"I8": _INT8_CAPABILITY}.get(dtype, _FLOAT8_CAPABILITY if dtype in _FLOAT8 else 0)
    if kind == "cuda" and capability and capability < least:
        return f"{dtype} needs {needs_of(dtype)}, this device has {capability / 10:.1f}"
    if kind == "mps" and (dtype in _FLOAT8 or dtype == "F64"):
        return f"Metal has no {dtype}"
    return ""


def attempt(name: str, dtype: str, operation: str, tensor: torch.Tensor, capability: int) -> Trial:
    """Try an operation on a tensor that lies on a device as torch's own dtype of these elements."""
    import torch

    trial = Trial(name, dtype, operation, needs_of(dtype))
    lack = lacking(dtype, tensor.device.type, capability)
    if lack:
        return trial._replace(skipped=lack)
    tried = _OPERATIONS.get((operation, dtype))
    if tried is None:
        return trial._replace(skipped=f"torch has no {operation} in {dtype}")
    try:
        with torch.no_grad():
            result, expected = tried(tensor.detach())
            problem, gap = _judged(result, expected, _NEAR.get(dtype, _NEAR_8))
    except _Unfit as unfit:
        return trial._replace(skipped=str(unfit))
    except (RuntimeError, NotImplementedError, TypeError, ValueError, AttributeError) as error:
        said = str(error).partition("\n")[0][:_SAID]
        return trial._replace(refused=said or type(error).__name__)
    return trial._replace(problem=problem, gap=gap)


class _Unfit(Exception):
    """A tensor that the operation is not for, and why."""


def _judged(result: torch.Tensor, expected: torch.Tensor, near: float) -> tuple[str, float | None]:
    """What is wrong with a result, and how far it is from the reference."""
    import torch

    if not bool(torch.isfinite(expected).all()):
        raise _Unfit("the weights hold what is no number")
    found = result.cpu().to(torch.float64)
    if not bool(torch.isfinite(found).all()):
        return "the result holds what is no number", None
    size = float(expected.norm())
    gap = float((found - expected).norm()) / (size or 1.0)
    return ("" if gap <= near else f"the result is {gap:.2g} of itself away from float32"), gap


def _matrix(tensor: torch.Tensor, tile: int = 1) -> torch.Tensor:
    """The first rows and columns of the first matrix, in whole tiles."""
    held = tensor.reshape(-1, *tensor.shape[-2:])[0] if tensor.dim() > 2 else tensor
    rows, columns = (
        min(size, most) // tile * tile
        for size, most in zip(held.shape, (_ROWS, _COLUMNS), strict=True)
    )
    if not rows or not columns:
        raise _Unfit(f"it is smaller than a tile of {tile} x {tile}")
    return held[:rows, :columns].contiguous()


def _input(columns: int) -> torch.Tensor:
    """Rows of numbers, always the same, on the host; about as long as 1."""
    import torch

    draw = torch.Generator().manual_seed(0)
    return torch.randn(_BATCH, columns, generator=draw) / columns**0.5


def _multiplied(tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    weight = _matrix(tensor)
    rows = _input(weight.shape[1]).to(weight.dtype)
    result = torch.nn.functional.linear(rows.to(weight.device), weight)
    return result, _reference(rows, weight)


def _reference(rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The product on the host, of the same rounded numbers."""
    import torch

    product: torch.Tensor = rows.to(torch.float64) @ weight.cpu().to(torch.float64).T
    return product


def _multiplied_scaled(tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """FP8 with a scale of one for each side; one of the two has to be E4M3."""
    import torch

    weight = _matrix(tensor, _TILE)
    is_fnuz = weight.dtype in (torch.float8_e4m3fnuz, torch.float8_e5m2fnuz)
    rows = _input(weight.shape[1]).to(torch.float8_e4m3fnuz if is_fnuz else torch.float8_e4m3fn)
    one = torch.ones((), device=weight.device)
    result = torch._scaled_mm(
        rows.to(weight.device), weight.T, scale_a=one, scale_b=one, out_dtype=torch.bfloat16
    )
    return result, _reference(rows, weight)


def _multiplied_integers(tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    weight = _matrix(tensor, 8)
    rows = (_input(weight.shape[1]) * weight.shape[1] ** 0.5 * 40).clamp(-127, 127).to(torch.int8)
    result = torch._int_mm(rows.to(weight.device), weight.T)
    return result, _reference(rows, weight)


def _looked_up(tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    table = tensor[:_COLUMNS]
    places = torch.tensor([0, len(table) - 1, len(table) // 2])
    result = torch.nn.functional.embedding(places.to(table.device), table)
    return result, table.cpu()[places].to(torch.float64)


_OPERATIONS = {
    **{("linear", name): _multiplied for name in _NEAR},
    **{("linear", name): _multiplied_scaled for name in _FLOAT8},
    ("linear", "I8"): _multiplied_integers,
    **{("embedding", name): _looked_up for name in _LOOKED_UP},
}
