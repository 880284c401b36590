"""Classes of modules whose weight is a matrix: Linear, Embedding, Conv1D of GPT-2, Router."""

from __future__ import annotations

from ckptscan.structure.module_class import (
    Around,
    Leaves,
    ModuleClass,
    Name,
    Shape,
    is_container,
    weight_of,
    words,
)

# a name with one of these is no table, whatever else it says: embedding_projection, embed_out
LINEAR = frozenset(
    "linear lin fc mlp ffn dense head gate router classifier conv to mapping".split()
)
# with a name of these a matrix is a Linear by more than custom, also where it is square
PROJECTIONS = frozenset(
    "query key value q k v o qkv kv w wq wk wv wo wqkv out output up down fc to".split()
)
LINEAR_STARTS = ("proj", "transform", "linear", "dense")
# what a row of a table stands for, as the name's last word: mask_tokens, lookup_table
ROWS = frozenset(
    "token tokens queries points codebook codebooks table lookup vocab vocabulary dictionary "
    "pe".split()
)
# what the tables of a container named for embeddings are called: embeddings.word
KINDS = ROWS | frozenset(
    "word words position positions segment segments type types row col column label labels "
    "class classes entity language speaker weight x y h w".split()
)
PARTS = ("weight", "bias")
QUERY_PARTS = frozenset("feat feats feature features content pos position positions".split())


def classify_matrix(
    name: Name, weight: Shape, bias: Shape | None, leaves: Leaves, around: Around
) -> ModuleClass | None:
    """The class of a module whose weight has two dimensions."""
    if _is_router(name, weight, leaves, around):
        return _linear("Router", weight, bias, "inferred")
    if is_container(leaves, weight):
        return None
    if bias is not None:
        return _with_bias(name, weight, bias, around)
    if is_table(name, weight):
        return ModuleClass("Embedding", f"{weight[0]}, {weight[1]}", "inferred")
    return _linear("Linear", weight, None, _label(name))


def _linear(name: str, weight: Shape, bias: Shape | None, label: str) -> ModuleClass:
    rows, columns = weight
    arguments = f"in_features={columns}, out_features={rows}, bias={bias is not None}"
    return ModuleClass(name, arguments, label)


def _with_bias(name: Name, weight: Shape, bias: Shape, around: Around) -> ModuleClass | None:
    """A bias is as long as the output: the first dimension of Linear, the second of Conv1D."""
    rows, columns = weight
    if len(bias) != 1 or bias[0] not in weight:
        return None
    is_square = rows == columns
    is_transposed = _stands_by_conv1d(around) if is_square else bias[0] == columns
    if is_transposed:
        label = "inferred" if is_square else "exact"
        return ModuleClass("Conv1D", f"nf={columns}, nx={rows}", label)
    return _linear("Linear", weight, bias, _label(name) if is_square else "exact")


def _stands_by_conv1d(around: Around) -> bool:
    """Whether the matrices beside that aren't square have their bias on the second dimension."""
    found = set()
    for _, leaves in around.beside():
        weight, bias = weight_of(leaves), leaves.get("bias", ())
        if weight is not None and len(weight) == 2 and weight[0] != weight[1] and len(bias) == 1:
            found.add(bias[0] == weight[1])
    return found == {True}


def _is_router(name: Name, weight: Shape, leaves: Leaves, around: Around) -> bool:
    """A gate of experts: with a bias of their own beside its weight, or experts beside itself."""
    if name.own not in (("gate",), ("router",)) or weight[0] >= weight[1]:
        return False
    if any(shape[:1] == weight[:1] for leaf, shape in leaves.items() if leaf not in PARTS):
        return True
    return any(_holds_experts(sibling, held, weight[0]) for sibling, held in around.beside())


def _holds_experts(sibling: str, leaves: Leaves, count: int) -> bool:
    if {"expert", "experts"}.intersection(words(sibling)):
        return True
    return any(len(shape) == 3 and shape[0] == count for shape in leaves.values())


def is_table(name: Name, weight: Shape) -> bool:
    """Whether a name says that a matrix without bias is looked up, not multiplied."""
    own = name.own
    if not own or _is_linear(own) or own[-1] == "out":
        return False
    if name.has("bias"):
        # [buckets, heads] of a table, [heads, buckets] of a Linear
        return weight[0] > weight[1]
    if any(map(_says_embedding, own)):
        return not name.has("patch") or name.has("pos", "position", "positions", "positional")
    if own[-1] in ROWS or own == ("shared",):
        return True
    if name.has("query", "queries"):
        return not QUERY_PARTS.isdisjoint(own)
    is_within = any(map(_says_embedding, name.parent)) and not _is_linear(name.parent)
    return is_within and own[-1] in KINDS


def _says_embedding(word: str) -> bool:
    # not "emb" anywhere: member, ensemble, assembly
    return "embed" in word or word.endswith(("emb", "embs")) or word in ("wte", "wpe")


def _is_linear(own: tuple[str, ...]) -> bool:
    return any(word in LINEAR or word.startswith(LINEAR_STARTS) for word in own)


def _label(name: Name) -> str:
    is_named = _is_linear(name.own) or not PROJECTIONS.isdisjoint(name.own)
    return "inferred" if is_named else "assumed"
