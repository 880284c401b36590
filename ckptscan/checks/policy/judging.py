"""A rule of a policy against a checkpoint: kept, broken, or with nothing to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from ckptscan.checks.globs import matcher
from ckptscan.checks.places import bounded
from ckptscan.checks.policy.figures import fact, figure, sureness
from ckptscan.checks.policy.groups import MEASURES, Part, each_of, parts_of, places, weights_of
from ckptscan.checks.policy.values import (
    Amount,
    Assertion,
    Compared,
    Group,
    Limit,
    NoFiles,
    OfBits,
    OfDTypes,
    OfShape,
    Stated,
    Unwanted,
)
from ckptscan.checks.security_code import pickle_beside, remote_code
from ckptscan.checks.values import INFERRED, PROVED, Subject, Where

_MOST_SEEN = 8  # different dtypes, shapes or values that a verdict names


class Verdict(NamedTuple):
    """A rule that is broken, or `moot`: there was nothing that it could be held against."""

    expected: str
    seen: str
    where: tuple[Where, ...] = ()
    confidence: str = PROVED
    moot: str = ""


def judge(subject: Subject, assertion: Assertion) -> Verdict | None:
    """What speaks against an assertion; None where it holds."""
    match assertion:
        case OfDTypes(group, dtypes):
            return _of_dtypes(subject, group, dtypes)
        case OfBits(group, bits):
            return _of_bits(subject, group, bits)
        case OfShape(group, shape):
            return _of_shape(subject, group, shape)
        case Unwanted():
            return _unwanted(subject, assertion)
        case NoFiles(kind, glob):
            return _no_files(subject, kind, glob)
        case Compared():
            return _compared(subject, assertion)
        case _:
            return _stated(subject, assertion)


def _moot(why: str) -> Verdict:
    return Verdict("", "", moot=why)


def _no_tensor(group: Group) -> Verdict:
    if group.glob is not None:
        return _moot(f"no tensor's name matches {group.words}")
    return _moot(f"no tensor is known to be of {group.words}")


def _sure(group: Group) -> str:
    return INFERRED if group.is_by_role else PROVED


def _seen(values: Sequence[object]) -> str:
    """Different values in few words, in their order."""
    distinct = list(dict.fromkeys(str(value)[:80] for value in values))
    more = f" and {len(distinct) - _MOST_SEEN:,} more" if len(distinct) > _MOST_SEEN else ""
    return ", ".join(distinct[:_MOST_SEEN]) + more


def _of_dtypes(subject: Subject, group: Group, dtypes: Sequence[str]) -> Verdict | None:
    parts = weights_of(subject.structure, group)
    if not parts:
        return _no_tensor(group)
    wrong = [part for part in parts if part.family.dtype.name not in dtypes]
    return _broken(" or ".join(dtypes), [one.family.dtype.name for one in wrong], wrong, group)


def _broken(
    expected: str, seen: Sequence[object], wrong: Sequence[Part], group: Group
) -> Verdict | None:
    if not wrong:
        return None
    return Verdict(expected, _seen(seen), places(wrong), _sure(group))


def _of_bits(subject: Subject, group: Group, bits: int) -> Verdict | None:
    """Bits of a tensor by its parameters, where it has any: those of scales do not count."""
    structure = subject.structure
    found = [(part, each_of(structure, part)) for part in weights_of(structure, group)]
    if any(each is None for _, each in found):
        return _moot(f"headers do not tell how many parameters {group.words} have")
    counted = [(part, each) for part, each in found if each]
    if not counted:
        return _no_tensor(group)
    wrong = [
        (part, Fraction(8 * part.family.kind.nbytes, each))
        for part, each in counted
        if 8 * part.family.kind.nbytes != bits * each
    ]
    seen = [_decimal(width) for _, width in wrong]
    return _broken(f"{bits} bits", seen, [part for part, _ in wrong], group)


def _of_shape(subject: Subject, group: Group, shape: Sequence[int | None]) -> Verdict | None:
    """Shapes as they are stored; a packed weight may also have it unpacked."""
    structure = subject.structure
    parts = weights_of(structure, group)
    if not parts:
        return _no_tensor(group)
    wrong = []
    for part in parts:
        meaning = structure.meaning(part.family)
        logical = meaning.shape if meaning is not None else None
        if not _fits(part.family.shape, shape) and not _fits(logical, shape):
            wrong.append(part)
    expected = f"[{', '.join('*' if dim is None else str(dim) for dim in shape)}]"
    return _broken(expected, [list(one.family.shape) for one in wrong], wrong, group)


def _fits(seen: Sequence[int] | None, shape: Sequence[int | None]) -> bool:
    return (
        seen is not None
        and len(seen) == len(shape)
        and all(dim in (None, length) for dim, length in zip(shape, seen, strict=True))
    )


def _unwanted(subject: Subject, rule: Unwanted) -> Verdict | None:
    structure = subject.structure
    whole = parts_of(structure, rule.group)
    found = [part for part in whole if not rule.dtypes or part.family.dtype.name in rule.dtypes]
    if not found:
        is_moot = not whole and rule.dtypes
        return _no_tensor(rule.group) if is_moot else None
    held = f"{sum(part.tensors for part in found):,} tensors with {_bytes(found):,} bytes"
    what = " or ".join(rule.dtypes) or rule.group.words
    if rule.limit is None:
        return Verdict(f"no {what}", held, places(found), _sure(rule.group))
    whole = whole if rule.dtypes else parts_of(structure, Group("all"))
    used = _used(subject, rule.limit, found, whole)
    if used is None:
        return _moot("headers do not tell how many parameters there are")
    if used <= rule.limit.amount.value:
        return None
    percent = f" % of {rule.limit.measure}" if rule.limit.measure else ""
    expected = f"{what}: at most {rule.limit.amount.text}{percent}"
    seen = f"{_decimal(used)}{percent}, {held}" if percent else held
    return Verdict(expected, seen, places(found), _sure(rule.group))


def _bytes(parts: Sequence[Part]) -> int:
    return sum(part.nbytes for part in parts)


def _used(
    subject: Subject, limit: Limit, found: Sequence[Part], whole: Sequence[Part]
) -> Fraction | None:
    """What is used of a limit: bytes, or percent of a measure."""
    if not limit.measure:
        return Fraction(_bytes(found))
    measure = MEASURES[limit.measure]
    part, total = measure(subject.structure, found), measure(subject.structure, whole)
    if part is None or total is None:
        return None
    return Fraction(100 * part, total) if total else Fraction(0)


def _no_files(subject: Subject, kind: str, glob: str) -> Verdict | None:
    if kind == "files":
        matches = matcher(glob)
        paths = [entry.path for entry in subject.checkpoint.files]
        found = [path for path in paths if matches(path) or matches(path.rpartition("/")[2])]
        if not found:
            return None
        return Verdict(f"no files {glob}", _seen(found), bounded(map(Where, found)))
    look = pickle_beside if kind == "pickle files" else remote_code
    for finding in look(subject):
        return Verdict(f"no {kind}", finding.message, finding.where, finding.confidence)
    return None


def _compared(subject: Subject, rule: Compared) -> Verdict | None:
    values = figure(subject, rule.figure, rule.group)
    of_group = f" of {rule.group.words}" if rule.group else ""
    name = rule.figure + of_group
    if not values:
        return _moot(f"{name}: can't be told")
    wrong = [value for value in values if not _holds(value, rule)]
    if not wrong:
        return None
    if rule.high is not None:
        expected = f"{name} between {rule.low.text} and {rule.high.text}"
    else:
        expected = f"{name} {rule.comparison} {rule.low.text}"
    where = places(parts_of(subject.structure, rule.group)) if rule.group else ()
    sure = sureness(subject.structure, rule.figure, rule.group)
    return Verdict(expected, _seen([f"{value:,}" for value in wrong]), where, sure)


def _holds(value: int, rule: Compared) -> bool:
    low = rule.low.value
    comparisons: Mapping[str, bool] = {
        "=": _is_near(value, rule.low),
        "!=": not _is_near(value, rule.low),
        "<": value < low,
        "<=": value <= low,
        ">": value > low,
        ">=": value >= low,
        "between": rule.high is not None and low <= value <= rule.high.value,
    }
    return comparisons[rule.comparison]


def _is_near(value: int, amount: Amount) -> bool:
    """Whether they are equal, to the digits that were written before a unit."""
    return 2 * abs(value - amount.value) <= amount.step


def _stated(subject: Subject, rule: Stated) -> Verdict | None:
    values = fact(subject, rule.fact)
    if not values:
        return _moot(f"no config tells the {rule.fact}")
    expected = rule.value if rule.bits is None else f"{rule.value}, {rule.bits} bits"
    seen = _seen(values)
    is_kept = rule.value in values
    if rule.fact in ("format", "attention"):
        is_kept = values == (rule.value,)
    if rule.bits is not None and subject.structure.quantization is not None:
        bits = subject.structure.quantization.main.bits
        seen = f"{seen}, {bits} bits" if bits else seen
        is_kept = is_kept and bits == rule.bits
    return None if is_kept else Verdict(f"{rule.fact} {expected}", seen, (), INFERRED)


def _decimal(value: Fraction) -> str:
    """A fraction with at most two decimals."""
    hundredths = (value.numerator * 100 + value.denominator // 2) // value.denominator
    whole, rest = divmod(hundredths, 100)
    return f"{whole:,}.{rest:02d}".rstrip("0").rstrip(".")
