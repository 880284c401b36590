"""Small checkpoints with numbers in them, for pages that show what reading tensors tells."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.content.making import Arrays, raw_file
from tests.diff.contents import CONFIG, edited, merged, model

COMMIT = "8f3a" * 10
_TOLD = CONFIG | {
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 4,
    "vocab_size": 1000,
    "intermediate_size": 512,
    "tie_word_embeddings": False,
}


def write_tiny(root: Path) -> None:
    """A Llama of four layers; with an adapter merged into it; in a cache of the Hub; damaged."""
    arrays = model()
    _write(root / "tiny-llama", arrays)
    _write(root / "tiny-llama-merged", edited(arrays, "q_proj", merged))
    _write(root / "tiny-llama-damaged", edited(arrays, r"layers\.2\.mlp\.up_proj", np.zeros_like))
    _write(root / "counted", edited(arrays, "", _counted))
    _keep(root / "models--org--tiny-llama", root / "counted")


def _write(folder: Path, arrays: Arrays) -> None:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(raw_file(arrays))
    (folder / "config.json").write_text(json.dumps(_TOLD, indent=2))


def _counted(array: NDArray[Any]) -> NDArray[Any]:
    """Numbers that no version of numpy draws otherwise, so that their sha256 can be shown."""
    return (np.arange(array.size) % 16_000).astype("<u2").reshape(array.shape)


def _keep(cache: Path, folder: Path) -> None:
    """The files of a folder as a client of the Hub keeps them, one blob changed on the disk."""
    snapshot = cache / "snapshots" / COMMIT
    for one in (cache / "blobs", cache / "refs", snapshot):
        one.mkdir(parents=True)
    (cache / "refs" / "main").write_text(COMMIT)
    for path in folder.iterdir():
        data = path.read_bytes()
        name = sha256(data).hexdigest()
        is_weights = path.suffix == ".safetensors"
        (cache / "blobs" / name).write_bytes(data[:-1] + b"!" if is_weights else data)
        (snapshot / path.name).symlink_to(Path("..", "..", "blobs", name))
