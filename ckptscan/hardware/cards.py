"""Cards and their real bytes: what the name promises is neither what the driver nor torch gives.

The driver's figure is that of nvidia-smi or its kin; torch sees 0.4 to 0.7 GiB less, and engines
count from torch's. Both are published readings, each with its source; none is a calculation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ckptscan.errors import UsageError
from ckptscan.sizes import parse_size

GIB = 1 << 30
MIB = 1 << 20
# what torch sees less than nvidia-smi where nobody published its figure: 0.4 to 0.7 GiB seen
TORCH_LESS = GIB // 2
_SHOWN = {"GiB": GIB, "MiB": MIB, "B": 1}
MAX_CARDS = 100_000

# 8xh200, 4x24GiB, h100@79.22GiB, 40960MiB
_SPEC = re.compile(
    r"(?:(?P<count>\d{1,6})\s*x\s*)?(?P<name>[^@]+?)?(?:@(?P<size>[^@]+))?",
    re.ASCII | re.IGNORECASE,
)
_APPLE = re.compile(r"apple(m\d)?(pro|max|ultra)?(?P<gb>\d{1,4})gi?b?", re.ASCII)
# GiB of unified memory from which on a share holds: llama.cpp's logs of 16, 18, 32 and 36 GB
APPLE_SHARES = ((32, 78, 100), (17, 74, 100), (0, 2, 3))


@dataclass(frozen=True)
class Card:
    """One kind of card. Sizes are bytes; None is what nobody published.

    `driver_bytes` is what nvidia-smi or its kin says, `torch_bytes` what torch or the engine saw.
    `marketing_gb` is what the name promises. `bandwidth` is bytes a second, `flops` dense BF16.
    `capability` is CUDA's, 0 for another maker's.
    """

    name: str
    aliases: tuple[str, ...]
    marketing_gb: int
    driver_bytes: int | None = None
    torch_bytes: int | None = None
    bandwidth: int | None = None
    flops: int | None = None
    capability: int = 0
    source: str = ""
    confidence: str = "seen"

    @property
    def total_bytes(self) -> int:
        """What an engine counts from: torch's figure, else the driver's less half a GiB."""
        if self.torch_bytes is not None:
            return self.torch_bytes
        if self.driver_bytes is not None:
            is_nvidia = self.capability > 0
            return self.driver_bytes - TORCH_LESS * is_nvidia
        return self.marketing_gb * 10**9

    @property
    def is_apple(self) -> bool:
        """Whether it is a machine of its own with unified memory, which no other stands beside."""
        return self.name.startswith("Apple")

    @property
    def label(self) -> str:
        """How sure `total_bytes` is: engine (a reading), estimated, assumed."""
        if self.torch_bytes is not None:
            return "engine"
        return "estimated" if self.driver_bytes is not None else "assumed"

    @property
    def how(self) -> str:
        """What `total_bytes` rests on, in words."""
        if self.torch_bytes is not None:
            return "total as torch sees it" if self.source else "as given"
        if self.confidence == "estimated":
            return self.source
        if self.driver_bytes is None:
            return f"{self.marketing_gb} GB by its name; no reading known"
        less = " less 0.5 GiB that torch does not see" if self.capability else ""
        return f"driver's {self.driver_bytes:,} bytes{less}"


@dataclass(frozen=True)
class Devices:
    """Cards of one kind and how many are there; `count` is None where it was not said."""

    card: Card
    count: int | None = None


def _gib(number: float) -> int:
    return round(number * GIB)


_BLOG = "https://thundergolfer.com/blog/nvidia-gpu-memory-capacity"
_LOG = "a public nvidia-smi or engine log"

CARDS = (
    Card("NVIDIA H100 80GB", ("h100", "h100-sxm", "h100-80gb"), 80, 81559 * MIB, _gib(79.18),
         3_350 * 10**9, 989 * 10**12, 90, f"{_BLOG}; vLLM logs say 79.15 to 79.33 GiB"),
    Card("NVIDIA H200 141GB", ("h200", "h200-sxm"), 141, 143771 * MIB, _gib(139.72),
         4_800 * 10**9, 989 * 10**12, 90, f"{_BLOG}; vllm-project/vllm#10702"),
    Card("NVIDIA H200 NVL", ("h200-nvl",), 141, 143771 * MIB, None, None, None, 90, _LOG),
    Card("NVIDIA H20-3e", ("h20-3e", "h20-141gb"), 141, 143771 * MIB, None, None, None, 90, _LOG),
    Card("NVIDIA H20 96GB", ("h20",), 96, 97871 * MIB, None, None, None, 90, _LOG, "inferred"),
    Card("NVIDIA GH200 96GB", ("gh200",), 96, 97871 * MIB, None, None, None, 90, _LOG, "inferred"),
    Card("NVIDIA GB200", ("gb200",), 192, None, _gib(184.31), None, None, 100,
         "vllm-project/vllm#43951"),
    Card("NVIDIA B200", ("b200",), 192, 183359 * MIB, None, 8_000 * 10**9, 2250 * 10**12, 100,
         _LOG),
    Card("NVIDIA A100 80GB", ("a100", "a100-80gb", "a100-80g", "a100-sxm"), 80, 81920 * MIB, None,
         2_000 * 10**9, 312 * 10**12, 80, f"{_BLOG}; ollama/ollama#8930"),
    Card("NVIDIA A100 40GB", ("a100-40gb", "a100-40g"), 40, 40960 * MIB, None,
         1_555 * 10**9, 312 * 10**12, 80, _BLOG),
    Card("NVIDIA A10", ("a10",), 24, 23028 * MIB, None, None, None, 86, _BLOG),
    Card("NVIDIA A10G", ("a10g",), 24, 23028 * MIB, None, None, None, 86,
         "taken for an A10", "assumed"),
    Card("NVIDIA L40S", ("l40s",), 48, 46068 * MIB, _gib(44.42), None, None, 89,
         f"{_BLOG}; vllm-project/vllm#15815; 44.39 to 44.53 GiB seen; ECC on"),
    Card("NVIDIA L40", ("l40",), 48, 46068 * MIB, None, None, None, 89, _LOG, "inferred"),
    Card("NVIDIA A40", ("a40",), 48, 46068 * MIB, None, None, None, 86, _LOG, "inferred"),
    Card("NVIDIA L20", ("l20",), 48, 46068 * MIB, None, None, None, 89, _LOG),
    Card("NVIDIA L4", ("l4",), 24, 23034 * MIB, None, 300 * 10**9, 121 * 10**12, 89, _BLOG),
    Card("NVIDIA T4", ("t4",), 16, 15360 * MIB, _gib(14.56), None, None, 75,
         f"{_BLOG}; 14.56 and 14.74 GiB seen"),
    Card("NVIDIA V100 32GB", ("v100", "v100-32gb"), 32, None, _gib(31.74), None, None, 70,
         "a vLLM log"),
    Card("NVIDIA RTX 5090", ("rtx5090", "5090"), 32, 32607 * MIB, None, None, None, 120, _LOG),
    Card("NVIDIA RTX 4090", ("rtx4090", "4090"), 24, 24564 * MIB, _gib(23.62), None, None, 89,
         "unslothai/unsloth#2039"),
    Card("NVIDIA RTX 3090", ("rtx3090", "3090"), 24, None, _gib(23.58), None, None, 86,
         "vllm-project/vllm#10517, #14447"),
    Card("NVIDIA RTX 2080 Ti", ("rtx2080ti", "2080ti"), 11, 11264 * MIB, 11_810_832_384, None,
         None, 75, _LOG),
    Card("NVIDIA RTX 2060 SUPER", ("rtx2060super", "2060super"), 8, None, 8_352_038_912, None,
         None, 75, _LOG),
    Card("NVIDIA RTX 4050 Laptop", ("rtx4050", "4050"), 6, 6141 * MIB, None, None, None, 89, _LOG),
    Card("NVIDIA RTX PRO 6000 Blackwell", ("rtxpro6000", "pro6000"), 96, 97887 * MIB, None, None,
         None, 120, _LOG),
    Card("NVIDIA RTX A6000", ("rtxa6000", "a6000"), 48, 46068 * MIB, None, None, None, 86,
         f"{_LOG}; ECC on"),
    Card("NVIDIA Tesla K80 (one of two)", ("k80",), 12, None, 11_996_954_624, None, None, 37, _LOG),
    Card("NVIDIA GTX 1070", ("gtx1070", "1070"), 8, None, 8_504_868_864, None, None, 61, _LOG),
    Card("NVIDIA GB10 (DGX Spark, unified)", ("gb10", "dgx-spark", "spark"), 128, None,
         _gib(121.69), None, None, 121, _LOG),
    Card("AMD Radeon 16GB", ("radeon-16gb",), 16, 17_163_091_968, None, None, None, 0, _LOG),
    Card("AMD Radeon or Instinct 32GB", ("radeon-32gb", "mi50-32gb"), 32, 34_342_961_152, None,
         None, None, 0, _LOG),
    Card("AMD Radeon Pro 48GB", ("radeon-48gb",), 48, 51_522_830_336, None, None, None, 0, _LOG),
    Card("AMD MI300X", ("mi300x",), 192, None, None, None, None, 0, "no reading found", "assumed"),
    Card("Intel Gaudi2", ("gaudi2",), 96, None, _gib(94.62), None, None, 0,
         "HabanaAI/vllm-fork#809"),
    Card("Huawei Ascend 910B 64GB", ("ascend-910b", "910b"), 64, 65_787_658_240, None, None, None,
         0, _LOG),
    Card("Huawei Ascend 310P", ("ascend-310p", "310p"), 32, 31_662_800_896, None, None, None, 0,
         _LOG),
    # Metal's recommendedMaxWorkingSetSize, of which 2/3 of 16 GiB and 0.74 to 0.78 above are known
    Card("Apple 16 GB (Metal limit)", ("apple-16gb",), 16, None, 11_453_246_122, None, None, 0,
         "llama.cpp log: 11453.25 MB, 2/3 of 16 GiB"),
    Card("Apple 18 GB (Metal limit)", ("apple-18gb",), 18, None, 14_302_250_000, None, None, 0,
         "llama.cpp log: 14302.25 MB"),
    Card("Apple 32 GB (Metal limit)", ("apple-32gb",), 32, None, 26_800_600_000, None, None, 0,
         "llama.cpp log: 26800.60 MB"),
    Card("Apple 36 GB (Metal limit)", ("apple-36gb",), 36, None, 30_150_670_000, None, None, 0,
         "llama.cpp log: 30150.67 MB"),
)  # fmt: skip


def parse_devices(text: str) -> Devices:
    """`h100`, `8xh200`, `4x24GiB`, `h100@79.22GiB`, `mine` -> the cards; raises UsageError."""
    plain = text.strip().lower()
    if plain in ("mine", "mine@torch"):
        from ckptscan.hardware.local import local_devices

        return local_devices(with_torch=plain.endswith("torch"))
    match = _SPEC.fullmatch(text.strip()[:200])
    if match is None or not (match["name"] or match["size"]):
        raise UsageError(f"{text[:80]!r} is no card", "say h100, 8xh200 or 4x24GiB")
    count = int(match["count"]) if match["count"] else None
    if count is not None and not 0 < count <= MAX_CARDS:
        raise UsageError(f"{count:,} cards are not a count", "say 1 or more, as in 8xh200")
    return Devices(_card(match["name"] or "", match["size"]), count)


def _card(name: str, size: str | None) -> Card:
    """The card of this name, its torch-visible bytes replaced if a size is given."""
    by_size = _memory(name)
    if by_size is not None and size is None:
        return Card(f"a card of {name.strip()}", (), -(-by_size // 10**9), None, by_size)
    card = named(name)
    if size is None:
        return card
    nbytes = _memory(size)
    if nbytes is None:
        raise UsageError(f"{size[:80]!r} is no size", "say 79.22GiB or 85520809984B")
    from dataclasses import replace

    return replace(card, torch_bytes=nbytes, source="")


def spec_of(card: Card) -> str:
    """What `--gpu` calls a card: its first alias, or its memory."""
    if card.aliases:
        return card.aliases[0]
    unit = next(unit for unit, scale in _SHOWN.items() if not card.total_bytes % scale)
    return f"{card.total_bytes // _SHOWN[unit]}{unit}"


def named(name: str) -> Card:
    """The card of this name or alias; raises UsageError with the nearest names."""
    known = dict(_names())
    plain = _plain(name)
    if plain in known:
        return known[plain]
    memory = _APPLE.fullmatch(plain)
    if memory is not None:
        return apple(int(memory["gb"]) * GIB)
    raise UsageError(f"no card is called {name[:80]!r}", _way_out(plain, known))


def _way_out(plain: str, known: Mapping[str, Card]) -> str:
    """What may have been meant, and where all names are; a number alone lacks its unit."""
    import difflib

    if plain.isascii() and plain.isdigit():
        return f"{plain[:8]}GiB is a card of so much memory, 4x{plain[:8]}GiB four of them"
    close = difflib.get_close_matches(plain.removeprefix("nvidia"), known, 3, 0.55)
    nearest = ", ".join(dict.fromkeys(known[one].aliases[0] for one in close))
    start = f"nearest: {nearest}; " if nearest else ""
    return f"{start}ckptscan gpus lists all; its memory will do, as in 24GiB or 4x24GiB"


def apple(memory: int) -> Card:
    """An Apple of so much unified memory: what Metal lets a program hold of it, as seen."""
    name = f"Apple {memory // GIB} GB (Metal limit)"
    known = next((card for card in CARDS if card.name == name), None)
    if known is not None:
        return known
    above, below = next((a, b) for least, a, b in APPLE_SHARES if memory >= least * GIB)
    how = f"{above / below:.2f} of {memory // GIB} GiB, as Metal allows on machines near in size"
    nbytes = memory * above // below
    return Card(name, (), memory // GIB, nbytes, None, None, None, 0, how, "estimated")


def _names() -> Iterator[tuple[str, Card]]:
    """All names and aliases; an alias may stand with its maker or series before it."""
    for card in CARDS:
        yield _plain(card.name), card
        for alias in card.aliases:
            yield _plain(alias), card
            yield "nvidia" + _plain(alias), card


def _plain(name: str) -> str:
    return re.sub(r"[\s_()-]+", "", name.lower())


def _memory(text: str) -> int | None:
    """`24GiB`, `24 GB` -> bytes; None for what is no size, or a card: `3090`, `4070M`."""
    return parse_size(text) if text.strip()[-1:] in ("b", "B") else None
