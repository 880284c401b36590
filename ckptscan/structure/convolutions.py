"""Classes of modules whose weight has three dimensions or more: convolutions."""

from __future__ import annotations

from ckptscan.structure.module_class import ModuleClass, Name, Shape

TRANSPOSED = frozenset(
    "transpose transposed deconv deconvolution convt convtranspose upconv ups".split()
)
UPWARD = ("upsampl", "upscal", "resize")
# the first convolution over one channel, a spectrogram or a mask, has the shape of a depthwise one
STEM = ("stem", "embed", "patch", "feature", "subsampl", "mask", "prompt", "first", "input")
POSITIONS = frozenset("pos position positional".split())
# no kernel without bias is as long: three dimensions are a stack of matrices
LONGEST_KERNEL = 256


def classify_convolution(name: Name, weight: Shape, bias: Shape | None) -> ModuleClass | None:
    """The class of a module whose weight has one to three dimensions of kernel."""
    if len(weight) not in (3, 4, 5) or 0 in weight:
        return None
    if bias is None:
        if len(weight) == 3 and weight[1] > 1 and weight[2] >= LONGEST_KERNEL:
            return None
        return (
            _transposed(name, weight, None)
            if _says_up(name, weight)
            else _plain(name, weight, None)
        )
    if len(bias) != 1:
        return None
    if bias[0] == weight[0]:
        is_up = weight[1] in (1, weight[0]) and _says_up(name, weight)
        return _transposed(name, weight, bias) if is_up else _plain(name, weight, bias)
    if bias[0] and bias[0] % weight[1] == 0:
        return _transposed(name, weight, bias)
    return None


def _says_up(name: Name, weight: Shape) -> bool:
    if not TRANSPOSED.isdisjoint(name.near):
        return True
    # after an interpolation comes a kernel of 3; one that overlaps evenly is transposed
    is_even = all(size % 2 == 0 for size in weight[2:])
    return is_even and any(word == "up" or word.startswith(UPWARD) for word in name.near)


def _plain(name: Name, weight: Shape, bias: Shape | None) -> ModuleClass:
    """Conv; never exact, as a weight doesn't tell the groups that its input is split into."""
    out, width, *kernel = weight
    groups, label = 1, "inferred"
    if width == 1 < out:
        is_named = _says_depthwise(name)
        groups = out if is_named or _is_amid_blocks(name) else 1
        label = "inferred" if is_named else "assumed"
    elif out % width == 0 and _adds_positions(name):
        groups = out // width
    return _convolution("Conv", (width * groups, out, groups), kernel, bias, label)


def _transposed(name: Name, weight: Shape, bias: Shape | None) -> ModuleClass:
    inward, width, *kernel = weight
    alone = inward if width == 1 < inward else 1
    groups = bias[0] // width if bias else alone
    label = "exact" if bias and bias[0] != inward else "inferred"
    return _convolution("ConvTranspose", (inward, width * groups, groups), kernel, bias, label)


def _convolution(
    kind: str, channels: tuple[int, int, int], kernel: list[int], bias: Shape | None, label: str
) -> ModuleClass:
    inward, out, groups = channels
    sizes = f"({', '.join(map(str, kernel))}{',' * (len(kernel) == 1)})"
    grouped = f", groups={groups}" if groups > 1 else ""
    plain = "" if bias else ", bias=False"
    arguments = f"{inward}, {out}, kernel={sizes}{grouped}{plain}"
    return ModuleClass(f"{kind}{len(kernel)}d", arguments, label)


def _says_depthwise(name: Name) -> bool:
    joined = "".join(name.near)  # depth_wise_conv, depth_conv
    return (
        "depthwise" in joined
        or "depthconv" in joined
        or any(word.startswith("dw") for word in name.near)
    )


def _is_amid_blocks(name: Name) -> bool:
    """Whether a filter of one channel lies where the input has many: in a block, in no stem."""
    return name.is_repeated and not any(word.startswith(STEM) for word in name.near)


def _adds_positions(name: Name) -> bool:
    """Whether a convolution's output is added to its input, and so has the same channels."""
    return not POSITIONS.isdisjoint(name.near) and any(
        word.startswith("conv") for word in name.near
    )
