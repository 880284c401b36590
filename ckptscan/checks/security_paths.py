"""X001, X008: paths that lead out of the folder."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from ckptscan.checks.places import bounded
from ckptscan.checks.values import Check, Finding, Subject, Where
from ckptscan.header import quoted
from ckptscan.paths import is_inside


def path_outside_folder(subject: Subject) -> Iterator[Finding]:
    """An index names a path that leads out of its folder, or is no plain path.

    What it finds: absolute paths, `..`, backslashes, drives, addresses and hidden characters among
    the values of a weight_map. ckptscan does not follow them.
    Why it matters: libraries that join such a path read any file of yours, or send your token to
    another repository (huggingface_hub#4935, transformers#47176).
    Example: model.safetensors.index.json names '../../.ssh/id_rsa'.
    What to do: don't load this checkpoint; tell whoever published it.
    """
    for path, index in subject.checkpoint.indexes.items():
        strays = [shard for shard in index.shards if not is_inside(shard)]
        if strays:
            more = f" and {len(strays) - 1:,} more" if len(strays) > 1 else ""
            yield OUTSIDE.finding(
                f"{path} names {quoted(strays[0])}{more}, outside its folder",
                Where(path, count=len(strays)),
                hint="don't load this checkpoint",
                expected="paths below the folder",
                seen=[quoted(stray) for stray in strays[:20]],
            )


def link_outside_folder(subject: Subject) -> Iterator[Finding]:
    """A symbolic link leads out of the folder.

    What it finds: files that are links to somewhere else; links of the Hugging Face cache into its
    blobs are as they should be.
    Why it matters: what is copied or uploaded may not be what lies here, and an archive may carry
    a link to a file of yours.
    Example: config.json is a link that leads out of the folder.
    What to do: copy the file in place of the link, where that is not meant.
    """
    leading = []
    for entry in subject.checkpoint.files:
        link = entry.link
        if link is None or subject.checkpoint.origin.kind == "hf-cache":
            continue
        to = posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), link))
        is_blob = posixpath.basename(posixpath.dirname(to)) == "blobs"
        if (to.startswith(("/", "../")) or to == "..") and not is_blob:
            leading.append(entry.path)
    if leading:
        more = f" and {len(leading) - 1:,} more" if len(leading) > 1 else ""
        yield LINK.finding(
            f"{leading[0]}{more}: a link that leads out of the folder",
            *bounded(map(Where, leading)),
            hint="copy the file in place of the link, where that is not meant",
            links=len(leading),
        )


OUTSIDE = Check("X001", "path-outside-folder", "error", path_outside_folder)
LINK = Check("X008", "link-outside-folder", "info", link_outside_folder)

CHECKS: tuple[Check, ...] = (OUTSIDE, LINK)
