"""Policy: what a project asserts of a checkpoint, in lines that read as English.

    [severity ":"] assertion ["because" reason]

    GROUP are DTYPE [or DTYPE ...]          experts are F8_E4M3
    GROUP are N bits                        "model.layers.*.mlp.*" are 4 bits
    GROUP have shape [N, *, ...]            norms have shape [7168]
    no DTYPE [or ...] [over LIMIT] [in GROUP]   no F32 over 1 % of bytes
    no GROUP                                no biases;  no "*.lora_A.*" tensors
    no pickle files | no remote code | no files "GLOB"
    FIGURE [of GROUP] COMPARISON AMOUNT     parameters = 57,408,658,944
    FACT = VALUE                            quantization = gptq 4 bits

A GROUP is a word for a role (experts, routers, norms, attention ...), `all`, or a glob over tensor
names in quotes. What is said of a role's dtype, bits or shape is said of its weights; their biases
are a group of their own. A LIMIT is a size, or `N %`, of bytes unless `of tensors` or `of
parameters` is said. A COMPARISON is `=`, `!=`, `<`, `<=`, `>`, `>=`, `at most`, `at least` or
`between N and N`. An AMOUNT has thousands with commas or none, and a unit where one fits: K, M, B,
T, KiB to TiB, KB to TB; with `=` and a unit it is held to the digits that are written: `8.03 B`.
The severity is error unless another is said.

Words of the language are in `words`; `parsing` reads a line, `judging` holds a checkpoint to it.
"""

from ckptscan.checks.policy.judging import Verdict, judge
from ckptscan.checks.policy.parsing import parse_rule
from ckptscan.checks.policy.values import Rule

__all__ = ["Rule", "Verdict", "judge", "parse_rule"]
