"""Damage to what stands outside of layers, to configs, and to the parts of ranks and adapters."""

from __future__ import annotations

import random
import re

from tests.checks.damages import Damage as TensorDamage
from tests.checks.damages import Documents, Tensors
from tests.checks.matrix.headers import Damage
from tests.checks.matrix.layers import a_stack, of_layer
from tests.checks.matrix.whole import Whole

_TABLE = r"(?:embed_tokens|tok_embeddings|wte|word_embeddings|^shared)\.weight$"
_HEAD = r"(?:^lm_head|^output)\.weight$"


def _config(documents: Documents) -> dict[str, object]:
    return documents.get("config") or documents.get("params") or {}


def _rows(pattern: str, *changes: int) -> TensorDamage:
    """A table with fewer rows than vocab_size, or many more."""

    def damage(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
        names = [name for name in tensors if re.search(pattern, name)]
        if not names or not str(_config(documents).get("vocab_size", "")).isdigit():
            return set()
        dtype, (rows, wide) = tensors[names[0]]
        tensors[names[0]] = dtype, (rows + rng.choice(changes), wide)
        return {"C003", "C008"}

    return damage


def columns(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    """An embedding of another width than the layers."""
    names = [name for name in tensors if re.search(_TABLE, name)]
    classes = str(_config(documents).get("architectures"))
    if not names or not re.search("ForCausalLM|LMHeadModel", classes):
        return set()
    dtype, (rows, wide) = tensors[names[0]]
    tensors[names[0]] = dtype, (rows, wide // 2)
    return {"C005", "S002", "C008", "C017"}


def tower_dropped(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    names = [name for name in tensors if name.startswith(("visual.", "model.visual."))]
    for name in names:
        del tensors[name]
    return {"C012"} if names else set()


def side_dropped(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    """The last layers of an encoder or a decoder."""
    sides = ("encoder", "decoder")
    if not all(any(side in name.split(".") for name in tensors) for side in sides):
        return set()
    stack = a_stack(tensors, documents, rng)
    if stack is None:
        return set()
    for index in stack[1][-2:]:
        for name in of_layer(tensors, stack[0], index):
            del tensors[name]
    return {"C001"}


def drafting_dropped(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    config = documents.get("config", {})
    drafts = config.get("num_nextn_predict_layers")
    if not drafts:
        return set()
    first = config["num_hidden_layers"]
    names = [n for n in tensors if n.startswith((f"model.layers.{first}.", "mtp."))]
    for name in names:
        del tensors[name]
    return {"C002"} if names else set()


def adapted_in_part(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    """The last layers are dropped, and the config counts one too many."""
    config, stack = documents.get("config", {}), a_stack(tensors, documents, rng)
    if stack is None or type(config.get("num_hidden_layers")) is not int:
        return set()
    if config["num_hidden_layers"] != len(stack[1]):
        return set()
    gone = rng.randint(2, len(stack[1]) // 2)
    for index in stack[1][-gone:]:
        for name in of_layer(tensors, stack[0], index):
            del tensors[name]
    config["num_hidden_layers"] -= gone - 1
    return {"C001"}


def renumbered(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    """Layers are numbered from 1: those of one of several stages, or of another tool."""
    config, stack = documents.get("config", {}), a_stack(tensors, documents, rng)
    if stack is None or config.get("num_hidden_layers") != len(stack[1]) or "0" in stack[0]:
        return set()
    for index in reversed(stack[1]):
        for name in of_layer(tensors, stack[0], index):
            new = name.replace(f"{stack[0]}{index}.", f"{stack[0]}{index + 1}.", 1)
            tensors[new] = tensors.pop(name)
    return {"C001", "S012", "S004"}


def layers_added(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    """Depth up-scaling without a word in the config."""
    config, stack = documents.get("config", {}), a_stack(tensors, documents, rng)
    if stack is None or config.get("num_hidden_layers") != len(stack[1]):
        return set()
    last = stack[1][-1]
    for more in range(1, rng.randint(2, 5)):
        for name in of_layer(tensors, stack[0], last):
            new = name.replace(f"{stack[0]}{last}.", f"{stack[0]}{last + more}.", 1)
            tensors[new] = tensors[name]
    return {"C001", "S012"}


def optimizer(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    for name in rng.sample(list(tensors), min(4, len(tensors))):
        kind = rng.choice(("optimizer.state.{}.exp_avg", "{}.exp_avg_sq", "optimizer.{}"))
        tensors[kind.format(name)] = "F32", tensors[name][1]
    return {"E004"}


def _prefix(prefix: str) -> TensorDamage:
    def damage(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
        if "adapter_config" in documents:
            return set()
        held = dict(tensors)
        tensors.clear()
        tensors.update({f"{prefix}{name}": one for name, one in held.items()})
        return {"S007"}

    return damage


def half_of_the_heads(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    """One of two parts of a tensor-parallel run, saved as the whole."""
    config = documents.get("config", {})
    if "num_attention_heads" not in config or "kv_lora_rank" in config:
        return set()
    cut = {
        r"[qkv]_proj\.weight$|(?:gate|up)_proj\.weight$": 0,
        r"[o]_proj\.weight$|down_proj\.weight$": 1,
    }
    names = [n for n in tensors if re.search("|".join(cut), n) and "expert" not in n]
    if not any("q_proj.weight" in n for n in names) or any("visual" in n for n in names):
        return set()
    is_cut = False
    for name in names:
        axis = next(axis for pattern, axis in cut.items() if re.search(pattern, name))
        dtype, shape = tensors[name]
        if len(shape) == 2 and dtype in ("BF16", "F16"):
            tensors[name] = dtype, tuple(s // 2 if at == axis else s for at, s in enumerate(shape))
            is_cut = True
    return {"S011", "C005"} if is_cut else set()


def leaked_dtype(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    """The config names another dtype than most weights have."""
    config = documents.get("config", {})
    key = next((key for key in ("dtype", "torch_dtype") if key in config), None)
    if key is None or "quantization_config" in config:
        return set()
    others = [one for one in ("float32", "float16", "bfloat16") if one != config[key]]
    config[key] = rng.choice(others)
    return {"C011"}


ENDS: dict[str, TensorDamage] = {
    "rows of the embedding trimmed": _rows(_TABLE, -1, -100, -1024),
    "rows of the head trimmed": _rows(_HEAD, -1, -100, -1024),
    "rows of the embedding and of no tokenizer": _rows(_TABLE, 5001, 20_003),
    "embedding of half the width": columns,
    "vision tower dropped": tower_dropped,
    "last layers of a side dropped": side_dropped,
    "drafting layers dropped": drafting_dropped,
    "config adapted in part to fewer layers": adapted_in_part,
    "layers numbered from 1": renumbered,
    "layers added": layers_added,
    "optimizer states": optimizer,
    "prefix module.": _prefix("module."),
    "prefix _orig_mod.": _prefix("_orig_mod."),
    "a half of tensor parallelism as the whole": half_of_the_heads,
    "config: other dtype": leaked_dtype,
}


def part_of_another_shape(whole: Whole, rng: random.Random) -> set[str]:
    """A tensor of one rank's part has not the shape of the others'."""
    if not whole.is_parallel:
        return set()
    shard = rng.choice(list(whole.shards.values()))
    names = [name for name, one in shard.entries.items() if len(one["shape"]) == 2]
    entry = shard.entries[rng.choice(names)]
    entry["shape"][rng.randrange(2)] //= 2
    shard.lay()
    return {"S002", "I010"}


def part_without_a_tensor(whole: Whole, rng: random.Random) -> set[str]:
    if not whole.is_parallel:
        return set()
    shard = rng.choice(list(whole.shards.values()))
    del shard.entries[rng.choice(list(shard.entries))]
    shard.lay()
    return {"S001", "I004", "I010"}


def part_missing(whole: Whole, rng: random.Random) -> set[str]:
    if not whole.is_parallel:
        return set()
    del whole.shards[rng.choice(list(whole.shards)[1:-1])]
    return {"I006"}


def last_part_missing(whole: Whole, rng: random.Random) -> set[str]:
    """No number tells of it; config's width does."""
    if not whole.is_parallel:
        return set()
    del whole.shards[list(whole.shards)[-1]]
    return {"I006", "C005", "C003", "S011"}


def tensor_of_all_parts_lost(whole: Whole, rng: random.Random) -> set[str]:
    if not whole.is_parallel:
        return set()
    inner = [
        name for name in next(iter(whole.shards.values())).entries if re.search(r"\.1\d\.", name)
    ]
    name = rng.choice(inner)
    for shard in whole.shards.values():
        del shard.entries[name]
        shard.lay()
    return {"S001"}


def _adapters(whole: Whole) -> list[str]:
    return [name for name in whole.tensors() if ".lora_" in name]


def half_of_a_pair(whole: Whole, rng: random.Random) -> set[str]:
    names, tensors = _adapters(whole), whole.tensors()
    if not names:
        return set()
    del tensors[rng.choice(names)]
    whole.take(tensors)
    return {"A002"}


def rank_of_a_module(whole: Whole, rng: random.Random) -> set[str]:
    names, tensors = _adapters(whole), whole.tensors()
    if not names:
        return set()
    name = rng.choice([one for one in names if ".lora_A" in one])
    other = name.replace(".lora_A", ".lora_B")
    rank = tensors[name][1][0] * 2
    tensors[name] = tensors[name][0], (rank, tensors[name][1][1])
    tensors[other] = tensors[other][0], (tensors[other][1][0], rank)
    whole.take(tensors)
    return {"A001"}


def module_of_a_layer(whole: Whole, rng: random.Random) -> set[str]:
    names, tensors = _adapters(whole), whole.tensors()
    if not names:
        return set()
    module = rng.choice(names).rpartition(".lora_")[0]
    whole.take({name: held for name, held in tensors.items() if not name.startswith(f"{module}.")})
    return {"A005"}


def other_rank_said(whole: Whole, rng: random.Random) -> set[str]:
    document = whole.documents.get("adapter_config.json")
    if document is None:
        return set()
    document["r"] = document["r"] * rng.choice((2, 4)) + rng.choice((0, 1))
    return {"A001"}


def absurd_scale(whole: Whole, rng: random.Random) -> set[str]:
    document = whole.documents.get("adapter_config.json")
    if document is None:
        return set()
    document["lora_alpha"] = rng.choice((10_000, 0, -16))
    return {"A007"}


PARTS: dict[str, Damage] = {
    "part of a rank has another shape": part_of_another_shape,
    "part of a rank lacks a tensor": part_without_a_tensor,
    "part of a rank missing": part_missing,
    "part of the last rank missing": last_part_missing,
    "tensor of all parts lost": tensor_of_all_parts_lost,
    "half of an adapter's pair dropped": half_of_a_pair,
    "rank of one adapter module doubled": rank_of_a_module,
    "adapter module of a layer dropped": module_of_a_layer,
    "adapter_config: other rank": other_rank_said,
    "adapter_config: absurd scale": absurd_scale,
}
