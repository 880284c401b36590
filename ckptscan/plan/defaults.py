"""What config classes of transformers take where a published config.json says nothing.

Only what a plan asks for and models really leave out: Gemma-3's largest config names no context
and no pattern of windows.
Sources: transformers 4.57, models/{gemma2,gemma3,cohere2}/configuration_*.py.
"""

from __future__ import annotations

from collections.abc import Mapping

_GEMMA3 = {
    "max_position_embeddings": 131_072,
    "sliding_window": 4096,
    "sliding_window_pattern": 6,
    "rope_local_base_freq": 10_000,
}
_DEFAULTS: Mapping[str, Mapping[str, int]] = {
    "gemma2": {"sliding_window_pattern": 2},
    "gemma3": _GEMMA3,
    "gemma3_text": _GEMMA3,
    "cohere2": {"sliding_window_pattern": 4},
}


def default_of(model_type: str | None, *keys: str) -> int | None:
    """The number that the class takes for the first of these keys that it has one for."""
    known = _DEFAULTS.get(model_type or "", {})
    return next((known[key] for key in keys if key in known), None)
