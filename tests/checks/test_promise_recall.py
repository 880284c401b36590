"""Damage that siblings do not tell, as all or many of them share it: the proof tells it."""

from __future__ import annotations

import copy
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable

import pytest

from ckptscan.checks import audit
from tests.checks.damages import BOOK, EXPERT, Documents, Tensors, held, layers
from tests.conftest import unheld

Pick = Callable[[list[int], random.Random], list[int]]
Damage = Callable[[Tensors, Documents, random.Random], bool]
NORM = re.compile(r"norm|ln_", re.IGNORECASE)
FEW = ("NousResearch--Llama-2-7b-hf", "Qwen--Qwen2-7B", "deepseek-ai--DeepSeek-V2-Lite")
MORE = """
    Qwen--Qwen3-8B google--gemma-2-9b Qwen--Qwen1.5-MoE-A2.7B mistralai--Mixtral-8x7B-v0.1
    microsoft--Phi-3-mini-4k-instruct openai--gpt-oss-120b google-t5--t5-base
    openai-community--gpt2 openai--whisper-large-v3 tiiuae--falcon-7b
    RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8 meta-llama--Llama-3.1-8B-original
    hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4
""".split()


def modules(tensors: Tensors, documents: Documents) -> tuple[str, dict[str, list[int]]]:
    """The prefix of the largest stack, and for each name within a layer those that have it."""
    prefix, indices = layers(tensors, documents)
    found: dict[str, list[int]] = defaultdict(list)
    for name in tensors:
        match = re.match(re.escape(prefix) + r"(\d+)\.(.+)$", name)
        is_plain = match and not BOOK.search(name) and not EXPERT.match(name)
        if match and is_plain and int(match[1]) in indices and name.endswith("weight"):
            found[match[2]].append(int(match[1]))
    return prefix, {name: held for name, held in found.items() if len(held) > len(indices) - 3}


def _drop(pick: Pick, *, norms: bool) -> Damage:
    def damage(tensors: Tensors, documents: Documents, rng: random.Random) -> bool:
        prefix, names = modules(tensors, documents)
        chosen = [name for name in names if bool(NORM.search(name)) == norms]
        if not chosen:
            return False
        name = rng.choice(chosen)
        for layer in pick(sorted(names[name]), rng):
            module = f"{prefix}{layer}.{name.rpartition('.')[0]}."
            for lost in [one for one in tensors if one.startswith(module)]:
                del tensors[lost]
        return True

    return damage


def scattered(places: list[int], rng: random.Random) -> list[int]:
    return rng.sample(places[1:-1], min(5, len(places) // 4))


def run(places: list[int], rng: random.Random) -> list[int]:
    size = max(2, len(places) * 10 // 36)
    start = rng.randrange(1, len(places) - size)
    return places[start : start + size]


def tail(places: list[int], rng: random.Random) -> list[int]:
    return places[-max(2, len(places) // 4) :]


def head(places: list[int], rng: random.Random) -> list[int]:
    return places[: max(2, len(places) // 4)]


def _reshape(pattern: str, change: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Damage:
    def damage(tensors: Tensors, documents: Documents, rng: random.Random) -> bool:
        names = [name for name in tensors if re.search(pattern, name)]
        for name in names:
            dtype, shape = tensors[name]
            tensors[name] = dtype, change(shape)
        return bool(names)

    return damage


def _remove(pattern: str) -> Damage:
    def damage(tensors: Tensors, documents: Documents, rng: random.Random) -> bool:
        names = [name for name in tensors if re.search(pattern, name)]
        for name in names:
            del tensors[name]
        return bool(names)

    return damage


def last_layers(tensors: Tensors, documents: Documents, rng: random.Random) -> bool:
    prefix, indices = layers(tensors, documents)
    for name in list(tensors):
        if any(name.startswith(f"{prefix}{layer}.") for layer in indices[-3:]):
            del tensors[name]
    return True


DAMAGES: dict[str, Damage] = {
    "norm of scattered layers": _drop(scattered, norms=True),
    "projection of scattered layers": _drop(scattered, norms=False),
    "norm of a run of layers": _drop(run, norms=True),
    "projection of a run of layers": _drop(run, norms=False),
    "norm of the last layers": _drop(tail, norms=True),
    "projection of the first layers": _drop(head, norms=False),
    "projection of all layers": _drop(lambda places, _: places, norms=False),
    "several layers at the end": last_layers,
    "one expert of all layers": _remove(r"\.experts\.3\."),
    "router of all layers": _remove(r"(?:mlp|moe)\.(?:gate|router)\.weight$"),
    "k halved in all layers": _reshape(
        r"k_proj\.weight$", lambda shape: (shape[0] // 2, *shape[1:])
    ),
    "up transposed in all layers": _reshape(r"up_proj\.weight$", lambda shape: shape[::-1]),
    "head of other rows": _reshape(r"^lm_head\.weight$", lambda shape: (shape[0] - 512, shape[1])),
    "head of another width": _reshape(
        r"^lm_head\.weight$", lambda shape: (shape[0], shape[1] // 2)
    ),
    "bias of q in all layers": _remove(r"q_proj\.bias$"),
}


def recall(models: list[str], turns: int) -> tuple[int, int, str]:
    """How many damages make the proof differ, of how many; and a table."""
    found: Counter[str] = Counter()
    done: Counter[str] = Counter()
    missed = []
    for model in models:
        tensors, documents = held(model)
        for name, damage in DAMAGES.items():
            for turn in range(turns):
                changed, config = dict(tensors), copy.deepcopy(documents)
                if damage(changed, config, random.Random(f"{model} {name} {turn}")):
                    proof = audit(unheld(changed, **config), ("C016",)).proof
                    is_told = proof is not None and proof.verdict == "differs"
                    done[name] += 1
                    found[name] += is_told
                    missed += [] if is_told else [f"  missed: {name} of {model}"]
    lines = [f"{name:36} {found[name]:4} of {done[name]:4}" for name in done]
    return sum(found.values()), sum(done.values()), "\n".join([*lines, *missed])


def test_the_proof_tells_damage_that_layers_share() -> None:
    found, done, table = recall([*FEW][:2], 1)

    assert found >= 0.97 * done, table


@pytest.mark.slow
def test_the_proof_tells_damage_in_all_small_models(capsys: pytest.CaptureFixture[str]) -> None:
    found, done, table = recall([*FEW], 1)

    with capsys.disabled():
        print(f"\nproof differs for {found} of {done} damages\n{table}")
    assert found >= 0.97 * done, table


@pytest.mark.slow
@pytest.mark.long
def test_the_proof_tells_damage_in_more_models(capsys: pytest.CaptureFixture[str]) -> None:
    found, done, table = recall([*FEW, *MORE], 2)

    with capsys.disabled():
        print(f"\nproof differs for {found} of {done} damages\n{table}")
    assert found >= 0.95 * done, table
