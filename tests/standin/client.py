"""The unmodified client against an endpoint, in a process of its own; prints what it saw as JSON.

The client reads HF_ENDPOINT when it is imported, so this is no test and imports nothing of ours.
`python client.py org/name` only reads the headers of that repository.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOKEN, OUTSIDER = "hf_standin", "hf_outsider"


def headers_of(repo_id: str) -> dict[str, Any]:
    """What get_safetensors_metadata says of a repository."""
    from huggingface_hub import HfApi

    metadata = HfApi().get_safetensors_metadata(repo_id)
    return {
        "sharded": metadata.sharded,
        "tensors": len(metadata.weight_map),
        "parameters": dict(metadata.parameter_count),
        "files": sorted(metadata.files_metadata),
    }


def digests(folder: str) -> dict[str, str]:
    """The sha256 of each file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def lists() -> dict[str, Any]:
    """What the calls that list say of org/sharded."""
    from huggingface_hub import HfApi

    api = HfApi()
    info = api.model_info("org/sharded", files_metadata=True)
    refs = api.list_repo_refs("org/sharded", include_pull_requests=True)
    return {
        "sha": info.sha,
        "siblings": {one.rfilename: one.size for one in info.siblings or ()},
        "lfs": {one.rfilename: one.lfs.sha256 for one in info.siblings or () if one.lfs},
        "safetensors": info.safetensors and info.safetensors.total,
        "expand": api.model_info("org/sharded", expand=["safetensors"]).sha,
        "tree": [one.path for one in api.list_repo_tree("org/sharded", recursive=True)],
        "expanded": [one.path for one in api.list_repo_tree("org/sharded", "sub", expand=True)],
        "paths": [
            one.path for one in api.get_paths_info("org/sharded", ["sub", "README.md", "no"])
        ],
        "branches": [one.name for one in refs.branches],
        "pulls": [one.ref for one in refs.pull_requests or ()],
        "exists": api.file_exists("org/sharded", "config.json"),
        "dataset": api.dataset_info("org/data").id,
        "renamed": api.model_info("org/old").id,
    }


def downloads() -> dict[str, Any]:
    """What the calls that download give."""
    from huggingface_hub import hf_hub_download, snapshot_download

    def text(*names: str, **options: Any) -> str:
        return Path(hf_hub_download(*names, **options)).read_text()

    return {
        "snapshot": digests(snapshot_download("org/sharded")),
        "pull": text("org/sharded", "README.md", revision="refs/pr/1"),
        "short": text("org/sharded", "README.md", revision=os.environ["SHORT"]),
        "dataset": text("org/data", "a b/ä#?.txt", repo_type="dataset"),
        "renamed": text("org/old", "config.json"),
        "gated": text("org/gated", "config.json", token=TOKEN),
    }


def refusal(call: Callable[[], object]) -> tuple[str, int]:
    """Type and status of the error that a call ends with."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        call()
    except HfHubHTTPError as error:
        return type(error).__name__, error.response.status_code
    return "no error", 0


def failures() -> dict[str, tuple[str, int]]:
    """The errors that the client makes of refusals: type and status."""
    from huggingface_hub import HfApi, hf_hub_download

    api = HfApi()
    calls: dict[str, Callable[[], object]] = {
        "absent, anonymous": lambda: api.model_info("org/absent"),
        "absent": lambda: api.model_info("org/absent", token=TOKEN),
        "private, anonymous": lambda: api.model_info("org/private"),
        "private, outsider": lambda: api.model_info("org/private", token=OUTSIDER),
        "bad token": lambda: api.model_info("org/sharded", token="hf_bad"),
        "revision": lambda: api.model_info("org/sharded", revision="no"),
        "file": lambda: hf_hub_download("org/sharded", "no.json"),
        "gated, anonymous": lambda: api.get_safetensors_metadata("org/gated"),
        "gated, outsider": lambda: hf_hub_download("org/gated", "config.json", token=OUTSIDER),
    }
    return {name: refusal(call) for name, call in calls.items()}


def main() -> None:
    """Print one document."""
    if sys.argv[1:]:
        seen = headers_of(sys.argv[1])
    else:
        seen = {
            "single": headers_of("org/single"),
            "sharded": headers_of("org/sharded"),
            **lists(),
            "failures": failures(),  # before anything is in the cache that could stand in
            "downloads": downloads(),
        }
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
