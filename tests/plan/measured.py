"""Published measurements: rows of fixtures/plan, and the plan that each is held against."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, Local, MemoryPlan, Model, Parallel
from ckptscan.plan.planning import model_of
from ckptscan.plan.planning import planned as planned_without_advice
from ckptscan.structure import Structure
from fixtures.shapes import build, configs, public
from tests.conftest import FIXTURES, packed, unheld

GIB = 1 << 30


class Measured(NamedTuple):
    """One published number: what was planned how, what was measured."""

    id: str
    engine: str
    model: str
    options: str
    quantity: str
    value: float
    text: str
    test: str

    @property
    def rounding(self) -> float:
        """Half a unit of the last digit that was printed."""
        return 0.5 * 10 ** -len(self.text.partition(".")[2])


def rows(name: str) -> Iterator[Measured]:
    """The rows of one file."""
    with open(FIXTURES / "plan" / f"{name}.tsv", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            value = row["value"].rstrip("x")
            yield Measured(row["id"], row["engine"], row["model"], row["options"],
                           row["quantity"], float(value), value, row["test"])  # fmt: skip


@cache
def structure_of(model: str) -> Structure:
    """The structure of a pack, or of a model that is built from its config."""
    if model.startswith("pack:"):
        return packed(model.removeprefix("pack:"))
    config = configs()[model]
    return unheld(build(config), config=public(config))


def ask_of(row: Measured, **changes: object) -> Ask:
    """What a row was measured under."""
    said = dict(pair.split("=") for pair in row.options.split())
    devices = parse_devices(said.pop("gpu"))
    parallel = Parallel(*(int(said.pop(way, "1")) for way in ("tp", "pp", "dp", "ep")))
    options: dict[str, object] = {"devices": devices, "parallel": parallel, "engine": row.engine}
    own = {key: said.pop(key) for key in [*said] if key in Local._fields}
    options["local"] = Local()._replace(**{key: _option(key, text)[1] for key, text in own.items()})
    for key, text in said.items():
        name, value = _option(key, text)
        options[name] = value
    return Ask(**{**options, **changes})  # type: ignore[arg-type]


_BYTES = {
    "kv_gib": "kv_bytes",
    "act_gib": "activation_bytes",
    "non_torch_gib": "non_torch_bytes",
    "weights_gib": "weight_bytes",
}


def _option(key: str, text: str) -> tuple[str, object]:
    if key in _BYTES:
        return _BYTES[key], round(float(text) * GIB)
    if key == "util":
        return "utilization", float(text)
    return key, int(text) if text.isdigit() else text


@cache
def _model(name: str) -> Model:
    return model_of(structure_of(name))


@cache
def planned(row: Measured, **changes: object) -> MemoryPlan:
    """The plan of what a row measured, without advice: trials took half of the time."""
    return planned_without_advice(_model(row.model), ask_of(row, **changes))


def options(row: Measured) -> Mapping[str, str]:
    """The options of a row as written."""
    return dict(pair.split("=") for pair in row.options.split())
