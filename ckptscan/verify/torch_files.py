"""Local files through the reference library, which loads a tensor straight onto a device."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ckptscan.errors import SourceUnreadable
from ckptscan.sources import Located, Source

if TYPE_CHECKING:
    import torch


class TorchFiles:
    """The files of a source that safetensors opens; none where it can't read them by `pread`.

    A mapped file would end the process where it shrinks while it is read, so nothing is mapped.
    `problems` says of files that it does not open why.
    """

    def __init__(self, source: Source, paths: Iterable[str], device: torch.device) -> None:
        self._files: dict[str, Any] = {}
        self.problems: dict[str, str] = {}
        if isinstance(source, Located):
            for path in dict.fromkeys(paths):
                self._open(path, source.location(path), str(device))

    def _open(self, path: str, location: str, device: str) -> None:
        from safetensors import SafetensorError, safe_open

        try:
            self._files[path] = safe_open(location, "pt", device=device, backend="pread")
        except TypeError:  # before 0.8 it maps files
            return
        except SafetensorError as error:
            self.problems[path] = f"safetensors does not open it: {error}"
        except OSError as error:
            raise SourceUnreadable(f"{path}: {error.strerror or 'it does not open'}") from error

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def load(self, path: str, name: str) -> torch.Tensor | str:
        """A whole tensor on the device, or why there is none.

        Parts are not loaded so: for three rows of ten thousand, get_slice reads them all.
        """
        from safetensors import SafetensorError

        try:
            found: torch.Tensor = self._files[path].get_tensor(name)
        except SafetensorError as error:
            return f"safetensors does not load it: {error}"
        return found
