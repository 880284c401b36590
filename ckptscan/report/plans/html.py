"""A plan as one page: the waterfall of each card, the cache, what to change, every formula."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.checkpoint import Checkpoint
from ckptscan.plan import MemoryPlan, Rank
from ckptscan.plan import Section as Figures
from ckptscan.report import words
from ckptscan.report.html.markup import Child, Markup, element, folded, joined, listed
from ckptscan.report.html.page import Page, Section, written
from ckptscan.report.html.pictures import Part, bar, legend, stack
from ckptscan.report.html.tables import columns, definitions, long_table, size, table, tiles
from ckptscan.report.plans import Shown
from ckptscan.report.plans.phrases import deployment, readable
from ckptscan.report.plans.sections import figure
from ckptscan.report.plans.serving import command_line
from ckptscan.report.plans.waterfall import TERM, Step, steps

_STEPS = columns("step", "#bytes", "#share", "", "how it is known", "how it comes about")
# what the parts of a card's memory are called, and their fills
_PARTS = {
    "weights": ("weights", 0),
    "rounding": ("rounding of the allocator", 7),
    "kernel": ("copies that kernels need", 5),
    "rope": ("rotary tables", 3),
    "activations": ("activations", 2),
    "overhead": ("overheads", 1),
    "kv": ("KV cache", 4),
}
_OTHER = ("other", 6)
_TOTAL = 7  # the fill of what is there, before anything is taken away


def report(checkpoint: Checkpoint, plans: Sequence[MemoryPlan], shown: Shown) -> Iterator[str]:
    """The page of a plan; of several engines a table of all, then each on its own."""
    title = words.label(checkpoint.origin.title)
    sections = list(_sections(checkpoint, plans))
    if len(plans) > 1:
        sections.insert(0, Section("engines", "Engines", _engines(plans)))
    return written(Page(title, f"Memory on {deployment(plans[0])}", _tiles(plans), sections))


def _sections(checkpoint: Checkpoint, plans: Sequence[MemoryPlan]) -> Iterator[Section]:
    for number, plan in enumerate(plans):
        suffix = f"-{number + 1}" if number else ""
        title = f"{plan.engine}: " if len(plans) > 1 else ""
        yield Section(f"verdict{suffix}", f"{title}Does it fit", _verdict(plan))
        yield Section(f"memory{suffix}", f"{title}Memory of each card", _memory(plan))
        if plan.kv.groups:
            yield Section(f"cache{suffix}", f"{title}Cache of keys and values", _cache(plan))
        for one in plan.sections:
            head = words.label(one.title)
            yield Section(
                f"{one.name}{suffix}", f"{title}{head[:1].upper()}{head[1:]}", _figures(one)
            )
        yield Section(f"run{suffix}", f"{title}How to run it", _run(checkpoint, plan))
        rests = listed(map(words.label, plan.assumptions))
        yield Section(f"assumed{suffix}", f"{title}What it rests on", rests)


def _tiles(plans: Sequence[MemoryPlan]) -> Markup:
    """The figures of the first plan that decide."""
    plan = plans[0]
    fits = element("span", "yes" if plan.fits else "no", class_="yes" if plan.fits else "no")
    held: list[tuple[str, Child, Child]] = [("Fits", fits, plan.engine)]
    if plan.is_training:
        held.append(("Taken", words.nbytes(plan.first.fixed), "on rank 0"))
    else:
        held.append(("Loaded", words.nbytes(plan.first.loaded), "on rank 0"))
    held.append(("Left", size(plan.tightest.left), "on the tightest card"))
    if plan.kv.groups:
        requests = f"{plan.kv.concurrency:.2f}"
        held.append(("Tokens", f"{plan.kv.tokens:,}", "in the cache"))
        held.append(("Requests", requests, f"of {plan.kv.max_len:,} tokens"))
    return tiles(held)


def _memory(plan: MemoryPlan) -> Markup:
    """The first rank open, those that differ from it folded."""
    first, *others = plan.ranks
    used = dict.fromkeys(_part(term.part) for rank in plan.ranks for term in rank.terms)
    weights = _PARTS["weights"]
    states = ("weights and states", weights[1])
    shown = [states if plan.is_training and one == weights else one for one in used]
    beside = [
        f"{place.place}: {words.nbytes(place.nbytes)}" for place in plan.beside if place.nbytes
    ]
    return joined(
        [
            legend(shown),
            element("h3", _who(plan, first)),
            _rank(plan, first),
            *(folded(_who(plan, rank), _rank(plan, rank)) for rank in others),
            listed(beside),
            _left_out(plan),
        ]
    )


def _part(part: str) -> tuple[str, int]:
    return _PARTS.get(part, _OTHER)


def _who(plan: MemoryPlan, rank: Rank) -> str:
    """`ranks 0-7, layers 0-60`."""
    many = len(rank.alike) > 1
    who = f"Ranks {words.indices(rank.alike)}" if many else f"Rank {rank.rank}"
    layers = f", layers {words.indices(rank.layers)}" if plan.ask.parallel.pp > 1 else ""
    return f"{who}{layers}"


def _rank(plan: MemoryPlan, rank: Rank) -> Markup:
    """The card as one bar, then its waterfall with every term."""
    rows = list(steps(plan, rank))
    whole = max(rank.capacity, rows[0].nbytes)
    below = max(0, -min(row.left for row in rows))  # what is taken beyond the card
    parts = [
        Part(words.label(term.name), max(0, term.nbytes), _part(term.part)[1])
        for term in rank.terms
    ]
    named = _who(plan, rank)
    fills = {term.name: _part(term.part)[1] for term in rank.terms}
    lines = (
        (
            words.label(row.name),
            size(row.nbytes),
            _share(row.nbytes, whole),
            bar(abs(row.nbytes), whole + below, fills.get(_term(row), _TOTAL), below + _start(row)),
            row.label,
            element("span", words.printable(row.formula), class_="formula"),
        )
        for row in rows
    )
    taken = sum(part.nbytes for part in parts)
    is_over = taken > whole
    drawn = stack(parts, max(whole, taken), f"Memory of {named}", whole if is_over else None)
    ends = element("p", "The line is where the card ends.", class_="quiet") if is_over else None
    return joined([drawn, ends, table(f"Waterfall of {named}", _STEPS, lines)])


def _term(step: Step) -> str:
    """The name of the term that a step takes away; other steps are none."""
    return step.name.removeprefix("- ") if step.mark == TERM else ""


def _start(step: Step) -> int:
    """Where a bar begins: what goes away lies above what is left, a total ends at what it is."""
    return step.left if step.mark == TERM else min(0, step.nbytes)


def _share(nbytes: int, whole: int) -> str:
    sign = "-" if nbytes < 0 else ""
    return sign + words.share(abs(nbytes), whole)


def _verdict(plan: MemoryPlan) -> Markup:
    works = ", ".join(map(str, plan.valid_tp))
    refused = [f"tp {one.tp}: {words.label(one.why)}" for one in plan.refusals]
    what = "a step of training" if plan.is_training else "a request"
    answer = f"Yes: weights, overheads and {what} fit." if plan.fits else "No."
    return joined(
        [
            element("p", answer, class_="yes" if plan.fits else "no"),
            listed(map(readable, plan.why_not)),
            joined([element("h3", "Try"), listed(map(readable, plan.advice))])
            if plan.advice
            else None,
            definitions([("tp that work", works)]),
            folded("Sizes that do not work", listed(refused)) if refused else None,
        ]
    )


def _left_out(plan: MemoryPlan) -> Markup | None:
    """What the engine does not load, or loads otherwise than it is stored."""
    rows = [
        (words.label(term.name), f"{term.nbytes:+,}", term.label, words.printable(term.formula))
        for term in plan.left_out
    ]
    caption = "Loaded otherwise than it is stored"
    heads = columns("what", "#bytes", "how it is known", "how it comes about")
    return joined([element("h3", caption), table(caption, heads, rows)]) if rows else None


def _cache(plan: MemoryPlan) -> Markup:
    kv = plan.kv
    facts: list[tuple[str, Child]] = [
        ("a token", f"{kv.bytes_per_token:,} bytes in {kv.dtype} [{kv.label}]"),
        ("formula", words.printable(kv.formula)),
        ("state", f"{words.nbytes(kv.state_bytes)} a request" if kv.state_bytes else None),
        ("cache", f"{kv.blocks:,} blocks of {kv.block_size:,}, {kv.tokens:,} tokens"),
        ("requests", f"{kv.concurrency:.2f} of {kv.max_len:,} tokens at once"),
        ("longest", f"{kv.longest:,} tokens in one request"),
    ]
    return joined([definitions(facts), listed(map(words.printable, kv.groups))])


def _capital(title: str) -> str:
    return title[:1].upper() + title[1:]


def _figures(section: Figures) -> Markup:
    rows = (
        (words.label(row.name), figure(row), row.label, words.printable(row.formula))
        for row in section.rows
    )
    heads = columns("", "#figure", "how it is known", "how it comes about")
    notes = listed(map(words.label, section.notes))
    return joined([long_table(words.label(section.title), heads, rows), notes])


def _run(checkpoint: Checkpoint, plan: MemoryPlan) -> Markup | None:
    """The command that serves it, and the lines that its log will have."""
    if plan.is_training:
        return None
    log = joined(plan.expected, "\n")
    command = command_line(checkpoint, plan)
    return joined(
        [
            element("pre", command) if command else None,
            joined([element("h3", "Log lines to expect"), element("pre", log)]) if log else None,
        ]
    )


def _engines(plans: Sequence[MemoryPlan]) -> Markup:
    rows = (
        (
            plan.engine,
            size(plan.first.loaded),
            size(plan.tightest.left),
            f"{plan.kv.tokens:,}",
            f"{plan.kv.concurrency:.2f}",
            "yes" if plan.fits else "no",
        )
        for plan in plans
    )
    heads = columns("engine", "#loaded", "#left", "#tokens", "#requests", "fits")
    return table("Engines side by side", heads, rows)
