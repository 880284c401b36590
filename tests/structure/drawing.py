"""Random checkpoints for properties: odd names, shapes and dtypes, wrappers, drafts, experts."""

from __future__ import annotations

from hypothesis import strategies as st

# irregular indices, padded ones, numbers inside segments, one or two, lists of parameters
SEGMENTS = (
    "layers a b 0 1 2 10 00 01 experts expert_0 expert_1 expert_2 expert_3 x_0_y_0 x_0_y_1 x_1_y_0 "
    "x_1_y_1 x_2_y_0 weight bias scale module _orig_mod mtp enorm hnorm eh_proj gate q_proj "
    "o_proj embed_tokens lm_head norm"
).split()
SHAPES = st.lists(st.integers(0, 4), max_size=3)
NAMES = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=5).map(".".join)


def tensors_of(*dtypes: str) -> st.SearchStrategy[dict[str, tuple[str, list[int]]]]:
    """Checkpoints whose tensors have these dtypes."""
    return st.dictionaries(NAMES, st.tuples(st.sampled_from(dtypes), SHAPES), max_size=25)
