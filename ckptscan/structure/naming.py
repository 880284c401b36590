"""The classes of containers, which no header tells: from the class that config.json names.

transformers builds them from one stem: Qwen2MoeForCausalLM holds a Qwen2MoeModel, whose layers are
Qwen2MoeDecoderLayer with Qwen2MoeAttention. The stem is config's; what follows it is convention.
"""

from __future__ import annotations

from ckptscan.config import Config
from ckptscan.late import Late
from ckptscan.structure.classes import ModuleClass
from ckptscan.structure.tree import Node

# Qwen2MoeForCausalLM, GPT2LMHeadModel, BertModel, T5EncoderModel
_STEM = Late(
    r"^(?P<stem>[A-Z]\w*?)(For[A-Z]\w+|LMHead\w*Model|(Encoder|Decoder|Text|PreTrained)?Model)$"
)
LONGEST_CLASS = 200  # characters; the longest class of transformers 5.23 has about 60
_BLOCKS = frozenset({"h", "block", "blocks"})
_ATTENTION = Late(r"^(self_attn|attn|attention|self_attention)$")
_MLP = Late(r"^(mlp|feed_forward|ffn)$")
_TEXT_TOWER = Late(r"(?i)^(model|transformer|language_model|decoder|backbone|gpt_neox)$")


def name_classes(root: Node, config: Config) -> Node:
    """The tree with the classes of its containers, as far as config.json tells."""
    architecture = config.architecture
    if architecture is None:
        return _lists(root)
    match = _STEM.match(architecture) if len(architecture) <= LONGEST_CLASS else None
    kind = ModuleClass(architecture, "", "config")
    path = _main_container(root)
    named = _named(root, match["stem"], path, 0) if match else root
    return _with_kind(_lists(named), kind)


def _main_container(root: Node) -> str:
    """The path of the container whose numbered children hold most parameters."""
    sizes: dict[str, int] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        for child in node.children:
            if child.repeat is not None:
                sizes[child.path] = sizes.get(child.path, 0) + child.parameters
            else:
                waiting.append(child)
    return max(sizes, key=lambda path: sizes[path], default="")


def _named(node: Node, stem: str, path: str, depth: int) -> Node:
    """A node on the way to the main container, its layers named by the stem."""
    children = []
    for child in node.children:
        if child.path == path and child.repeat is not None:
            children.append(_layer(child, stem, node.label))
        elif child.kind is None and path.startswith(f"{child.path}."):
            named = _named(child, stem, path, depth + 1)
            if depth == 0 and _TEXT_TOWER.match(child.label):
                named = _with_kind(named, ModuleClass(f"{stem}Model", "", "inferred"))
            children.append(named)
        else:
            children.append(child)
    return _same(node, children)


def _layer(layer: Node, stem: str, container: str) -> Node:
    """A layer of the main container, and its attention and feed-forward."""
    if container in _BLOCKS:
        ending = "Block"
    elif container == "layer":
        ending = "Layer"
    else:
        ending = "EncoderLayer" if ".encoder." in f".{layer.path}" else "DecoderLayer"
    children = []
    for child in layer.children:
        kind = child.kind
        if kind is None and not child.ends and _ATTENTION.match(child.label):
            kind = ModuleClass(f"{stem}Attention", "", "inferred")
        elif kind is None and not child.ends and _MLP.match(child.label):
            is_mixed = any("expert" in inner.label for inner in child.children)
            kind = ModuleClass(f"{stem}{'SparseMoeBlock' if is_mixed else 'MLP'}", "", "inferred")
        children.append(_with_kind(child, kind))
    return _with_kind(_same(layer, children), ModuleClass(f"{stem}{ending}", "", "config"))


def _lists(node: Node) -> Node:
    """A tree whose containers of numbered children alone are lists of modules."""
    children = [_lists(child) if child.children else child for child in node.children]
    node = _same(node, children)
    is_list = bool(children) and all(child.repeat is not None for child in children)
    is_plain = is_list and not node.ends and not any(child.ends for child in children)
    if node.kind is None and node.path and is_plain:
        return _with_kind(node, ModuleClass("ModuleList", "", "inferred"))
    return node


def _same(node: Node, children: list[Node]) -> Node:
    is_same = len(children) == len(node.children) and all(
        one is other for one, other in zip(children, node.children, strict=True)
    )
    return node if is_same else node.holding(children)


def _with_kind(node: Node, kind: ModuleClass | None) -> Node:
    if kind is node.kind:
        return node
    return Node.of(node.label, node.children, node.ends, node.path, node.repeat, kind)
