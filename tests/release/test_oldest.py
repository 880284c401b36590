"""The constraints of the run with the oldest versions are those that setup.cfg states."""

from __future__ import annotations

from tests.release.oldest import SETUP, constraints

TEXT = """
[options]
install_requires =
    click>=8.2
    safetensors>=0.4.5
    tomli>=2; python_version < "3.11"

[options.extras_require]
dev =
    moto[server]>=5
    safetensors>=0.8
    ruff>=0.9
"""


def test_the_higher_of_two_bounds_counts_and_only_what_runs_need() -> None:
    assert {"click": "8.2", "safetensors": "0.8", "tomli": "2"} == constraints(TEXT)


def test_every_requirement_of_ours_has_a_lowest_version() -> None:
    found = constraints(SETUP.read_text(encoding="utf-8"))

    assert {"click", "huggingface_hub", "numpy", "safetensors", "tabulate"} <= set(found)
