"""What is said of a verification in every format for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ckptscan.report import words
from ckptscan.report.faults import gaps_line
from ckptscan.verify.kernels import Trial
from ckptscan.verify.values import Probe, Verification

MB, GB = 10**6, 10**9
HEADS = ("tensor", "dtype", "shape", "bytes", "absmax", "mean", "std", "zeros")


def device(found: Verification) -> str:
    """The device with its memory: `cuda:0, NVIDIA H100, 78.10 of 79.18 GiB free`."""
    facts = found.device
    parts = [facts.kind, words.label(facts.name)]
    if facts.total is not None:
        free = words.nbytes(facts.free) if facts.free is not None else "an unknown part"
        parts.append(f"{free} of {words.nbytes(facts.total)} free")
    if facts.capability:
        parts.append(f"compute capability {facts.capability // 10}.{facts.capability % 10}")
    return ", ".join([*parts, *filter(None, [words.label(facts.software)])])


def amount(found: Verification) -> str:
    """What share of the checkpoint was loaded."""
    structure = found.structure
    tensors = words.share(found.tensors, structure.tensors)
    nbytes = words.share(found.nbytes, structure.nbytes)
    return (
        f"{found.tensors:,} of {words.plural(structure.tensors, 'tensor')} ({tensors}), "
        f"{words.nbytes(found.nbytes)} of {words.nbytes(structure.nbytes)} ({nbytes})"
    )


def cells(probe: Probe) -> list[str]:
    """One loaded tensor, under HEADS."""
    figures = probe.figures
    rows = f" [{probe.pick.rows}]" if probe.pick.rows else ""
    numbers = (figures.absmax if figures.finite else None, figures.mean, figures.std)
    return [
        words.label(probe.name) + rows,
        words.label(probe.dtype),
        words.shape(probe.pick.shape),
        f"{probe.pick.nbytes:,}",
        *("-" if one is None else f"{one:.4g}" for one in numbers),
        words.share(figures.zeros, figures.count),
    ]


def details(probe: Probe) -> Iterator[str]:
    """What is told of a few tensors only: the lengths of rows, the digest."""
    norms = probe.norms
    if norms is not None and norms.least is not None:
        odd = f", {norms.zero:,} of {norms.rows:,} are zero" if norms.zero else ""
        yield (
            f"norms of rows from {norms.least:.3g} to {norms.largest:.3g}, "
            f"median {norms.median:.3g}{odd}"
        )
    if probe.sha256 is not None:
        yield f"sha256 {probe.sha256}"


def faults(found: Verification) -> Iterator[str]:
    """All that is not as promised, a line each."""
    table = found.structure.checkpoint.table
    yield from map(words.label, found.faults)
    for row, why in found.choice.faulty.items():
        yield f"{words.label(table.names[row])}: {why}"
    for probe in found.probes:
        rows = f" [{probe.pick.rows}]" if probe.pick.rows else ""
        for fault in probe.faults:
            yield f"{words.label(probe.name)}{rows}: {words.label(fault)}"


def kernel(trial: Trial) -> str:
    """What came of one operation."""
    if trial.skipped:
        return f"not tried: {words.label(trial.skipped)}"
    if trial.refused:
        return f"not on this device: {words.label(trial.refused)}"
    return f"wrong: {words.label(trial.problem)}" if trial.problem else "runs"


def verdict(found: Verification) -> str:
    """Whether all is as promised, as far as it was loaded."""
    if not found.match:
        return "no"
    if not found.probes:
        return "nothing was loaded"
    return "yes, as far as it was loaded" if found.stopped else "yes"


def memory(found: Verification) -> str:
    """What the device's memory grew by, beside what was predicted."""
    grown, predicted = found.allocated_bytes, found.predicted_bytes
    if found.device.kind == "cpu":
        return f"{grown:,} bytes came in; what a device's memory grows by is not seen on the host"
    if grown == predicted:
        return f"grew by {grown:,} bytes, as predicted"
    return f"grew by {grown:,} bytes, {predicted:,} were predicted"


def unpacked(found: Verification) -> str:
    """The packed weights that were dequantized, and how large they are."""
    sizes = [one.size.rms for one in found.weights if one.size and one.size.rms is not None]
    weights = words.plural(len(found.weights), "packed weight")
    if not sizes:
        return f"{weights}, none with numbers"
    return f"{weights}, rms from {min(sizes):.3g} to {max(sizes):.3g}"


def rates(found: Verification) -> str:
    """How fast bytes came, as far as it was measured."""
    rate = found.throughput
    parts = []
    if rate.to_host is not None:
        threads = words.plural(rate.threads, "thread")
        parts.append(f"source to host {_rate(rate.to_host)} ({threads})")
    if rate.to_device is not None:
        parts.append(f"host to device {_rate(rate.to_device)}")
    return ", ".join(parts) or "nothing was measured"


def _rate(nbytes: float) -> str:
    """Bytes a second: `2.50 GB/s`, `3.1 MB/s` where that would be next to nothing."""
    if nbytes < GB / 10:
        return f"{nbytes / MB:.1f} MB/s"
    return f"{nbytes / GB:.2f} GB/s"


def loads(found: Verification) -> str:
    """How long a full load takes on so many ranks."""
    return ", ".join(
        f"{one.seconds:.3g} s" + (f" on {one.ranks} ranks" if one.ranks > 1 else "")
        for one in found.loads
    )


def notes(found: Verification) -> Iterator[str]:
    """What a reader should know: what was not tried, and what was left out."""
    if found.device.note:
        yield f"the host stands in for a GPU: {words.label(found.device.note)}"
    gaps = gaps_line(found.structure.checkpoint)
    if gaps:
        yield gaps
    yield from map(words.label, found.missing)
    for why, count in Counter(found.choice.left_out.values()).items():
        yield f"{words.plural(count, 'chosen tensor')} left out: {why}"
    cut = len([pick for pick in found.choice.picks if not pick.is_whole])
    if cut:
        yield f"{words.plural(cut, 'pick')} of rows; the others are whole tensors"
    if found.stopped:
        chosen = words.nbytes(found.choice.nbytes)
        loaded = words.nbytes(found.nbytes)
        yield f"partial: {words.label(found.stopped)}, after {loaded} of {chosen}"
