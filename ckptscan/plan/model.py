"""A model as planners see it: its modules, how it attends, what its config says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ckptscan.plan.facts import Facts
from ckptscan.plan.inventory import Inventory, take_inventory
from ckptscan.plan.sharding import Heads
from ckptscan.plan.values import Term
from ckptscan.structure import Attention, Structure
from ckptscan.structure.expected.keys import VOCABULARY

if TYPE_CHECKING:
    from ckptscan.plan.gguf import File


_WRITES = ("CausalLM", "ConditionalGeneration", "LMHead")  # in names of classes


@dataclass(frozen=True)
class Model:
    """What engines plan from. `attention` is that of the main stack alone.

    Of a model that is not stored so: `assumed` says by group what its bytes rest on, `changed`
    what they are more or less than those stored, `schemes` the formats of its weights.
    """

    structure: Structure
    inventory: Inventory
    facts: Facts
    attention: tuple[Attention, ...]
    assumed: Mapping[str, str] = field(default_factory=dict)
    changed: tuple[Term, ...] = ()
    schemes: tuple[str, ...] | None = None

    @classmethod
    def of(cls, structure: Structure) -> Model:
        """The model of a checkpoint."""
        inventory = take_inventory(structure)
        facts = Facts(structure.checkpoint.config, inventory, structure)
        main = tuple(
            one
            for one in structure.attention
            if one.container == inventory.container and not one.is_mtp
        )
        return cls(structure, inventory, facts, main)

    @cached_property
    def heads(self) -> Heads:
        """The heads of the main stack."""
        found = next((heads_of(one) for one in self.attention if one.heads), Heads())
        return found._replace(groups=self.facts.state_groups)

    @property
    def towers(self) -> dict[str, Heads]:
        """The heads of the other stacks, by the path that their modules begin with."""
        return {
            one.container: heads_of(one)
            for one in self.structure.attention
            if one.container != self.inventory.container and not one.is_mtp
        }

    @cached_property
    def files(self) -> dict[str, File]:
        """The GGUF files that were made of it already, by their mix."""
        return {}

    @cached_property
    def supposed(self) -> dict[str, Model]:
        """What it was supposed to be already, by the recipe of its formats."""
        return {}

    @cached_property
    def has_tower(self) -> bool:
        """Whether there is a part for images or sounds."""
        return any(module.tower != "text" for module in self.inventory.outside)

    @cached_property
    def unserved(self) -> str:
        """Why no engine serves the model, of which the weights alone count; empty where some do."""
        if self.structure.checkpoint.configs:
            return "a pipeline of components, which no engine planned here serves; all are counted"
        if not self._generates and not self._looks_up_words:
            return "no language model, so that none of these engines serves it"
        return ""

    @cached_property
    def is_encoder(self) -> bool:
        """Whether it reads text and writes none: BERT and its kin keep no cache."""
        if self._generates:
            return False
        is_inner = "encoder" in self.inventory.container.split(".")
        is_headless = is_inner and not self.inventory.of_role("lm_head")
        is_masked = "MaskedLM" in (self.facts.config.architecture or "")
        return is_masked or is_headless or bool(self.inventory.of_role("token_type"))

    @property
    def _generates(self) -> bool:
        """Whether the class that the config names writes text."""
        named = self.facts.config.architecture or ""
        return any(word in named for word in _WRITES)

    @property
    def _looks_up_words(self) -> bool:
        """Whether there is a table of words; where a class is named, its vocabulary is as well."""
        config = self.facts.config
        named = config.architecture or config.text("_class_name")
        is_told = named is None or config.number(*VOCABULARY) is not None
        return is_told and bool(self.inventory.of_role("embedding"))

    @property
    def experts(self) -> int:
        """Routed experts of a layer."""
        found = self.structure.parameters.experts
        return found.routed if found is not None else 0

    def attention_of(self, index: int) -> Attention | None:
        """How one layer of the main stack attends."""
        return self._attending.get(index)

    @cached_property
    def _attending(self) -> Mapping[int, Attention]:
        return {index: one for one in self.attention for index in one.layers}

    @cached_property
    def indices(self) -> list[int]:
        """The layers of the main stack."""
        return sorted(index for kind in self.inventory.kinds for index in kind.indices)


def heads_of(one: Attention) -> Heads:
    """The heads of some layers and the width of each."""
    width = one.head_dim or 0
    return Heads(one.heads, one.kv_heads, one.v_head_dim or width, width, one.v_head_dim or width)
