"""Classes of modules whose weight is a vector: norms, and PReLU."""

from __future__ import annotations

from ckptscan.structure.module_class import (
    Around,
    Leaves,
    ModuleClass,
    Name,
    Shape,
    is_container,
    weight_of,
)

# LayerNorm.gamma of old TensorFlow checkpoints, norm.scale of Flax, norm.g of lucidrains' models
WEIGHTS = ("weight", "gamma", "scale", "g")
BIASES = ("bias", "beta", "b")


def classify_norm(name: Name, leaves: Leaves, around: Around) -> ModuleClass | None:
    """The class of a module whose weight is a vector, or a norm's weight of any shape."""
    weight = _first(leaves, WEIGHTS)
    bias = _first(leaves, BIASES)
    is_norm = says_norm(name)
    if not weight or not (is_norm or ("weight" in leaves and len(weight) == 1)):
        return None
    if is_container(leaves, weight):
        return None
    if bias is None:
        return _without_bias(name, weight, around)
    if bias != weight:
        return None
    return _with_bias(name, weight, "inferred" if is_norm else "assumed", around)


def _first(leaves: Leaves, names: tuple[str, ...]) -> Shape | None:
    return next((leaves[name] for name in names if name in leaves), None)


def says_norm(name: Name) -> bool:
    """Whether a name is one of a norm: input_layernorm, ln_1, bn2, q_norm, norms.0."""
    return any(
        word.endswith(("norm", "norms")) or word in ("ln", "gn", "bn", "rms", "normalization")
        for word in name.own
    )


def _without_bias(name: Name, weight: Shape, around: Around) -> ModuleClass | None:
    """RMSNorm, or LayerNorm without bias: tensors alone can't tell."""
    arguments = _vector(weight)
    is_one = weight == (1,) and not says_norm(name)
    if name.has("prelu") or (is_one and name.has("act", "activation")):
        return ModuleClass("PReLU", f"num_parameters={weight[0]}", "inferred")
    if is_one:
        return None
    if any("rms" in word for word in name.own):
        return ModuleClass("RMSNorm", arguments, "inferred")
    if around.norm == "LayerNorm":
        return ModuleClass("LayerNorm", f"{arguments}, bias=False", "config")
    if around.norm:
        return ModuleClass(around.norm, arguments, "config")
    return ModuleClass("Norm", arguments, "inferred" if says_norm(name) else "assumed")


def _with_bias(name: Name, weight: Shape, label: str, around: Around) -> ModuleClass:
    if len(weight) == 1:
        if _is_group_norm(name, weight[0], around):
            return ModuleClass("GroupNorm", f"num_channels={weight[0]}", "inferred")
        if name.has("instance", "instancenorm"):
            return ModuleClass("InstanceNorm", str(weight[0]), "inferred")
        if name.has("bn", "batch", "batchnorm"):
            return ModuleClass("BatchNorm", str(weight[0]), "inferred")
    return ModuleClass("LayerNorm", _vector(weight), label)


def _is_group_norm(name: Name, channels: int, around: Around) -> bool:
    if name.has("gn", "groupnorm") or (name.has("group") and says_norm(name)):
        return True
    if name.segment == "*":
        return _follows_convolution(channels, around)
    return not name.has("layer", "ln", "layernorm") and _feeds_convolution(name, channels, around)


def _vector(shape: Shape) -> str:
    return f"({shape[0]},)" if len(shape) == 1 else f"({', '.join(map(str, shape))})"


def _feeds_convolution(name: Name, channels: int, around: Around) -> bool:
    """Whether a norm belongs to a convolution beside, as in the blocks of VAEs and UNets.

    Norm and convolution share a name there (norm1 and conv1, norm_out and conv_out), or all that
    stands by a norm are the projections of an attention over an image.
    """
    weights = {child: weight_of(leaves) or () for child, leaves in around.beside()}
    if name.own == ("norm",) and name.segment == "norm":
        projections = [weight for weight in weights.values() if len(weight) > 1]
        pixelwise = (channels, channels, 1, 1)
        return len(projections) > 2 and all(weight == pixelwise for weight in projections)
    partner = name.segment.replace("conv_norm", "norm").replace("norm", "conv")
    weight = weights.get(partner, ())
    return partner != name.segment and _mixes(weight) and weight[1] == channels


def _follows_convolution(channels: int, around: Around) -> bool:
    """Whether a step of a numbered sequence stands by convolutions alone."""
    weights = [weight for _, leaves in around.beside() if (weight := weight_of(leaves))]
    return bool(weights) and all(_mixes(weight) and weight[0] == channels for weight in weights)


def _mixes(weight: Shape) -> bool:
    """Whether a weight is a convolution that is neither depthwise nor one of patches."""
    return len(weight) > 2 and weight[1] > 1 and all(size % 2 for size in weight[2:])
