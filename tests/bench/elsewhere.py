"""Runs a program whose address of the Hub is fixed against another one, for a fair comparison.

`python elsewhere.py ENDPOINT PACKAGE.MODULE ARGUMENT...` calls `main()` of the module; addresses
that begin with the Hub's go to ENDPOINT, through urllib and httpx alike. Nothing else changes.
"""

from __future__ import annotations

import importlib
import sys
import urllib.request
from contextlib import suppress
from typing import Any

HUB = "https://huggingface.co"


def redirect(endpoint: str) -> None:
    """Let requests for the Hub go to this endpoint, in this process."""

    def there(url: object) -> str:
        return str(url).replace(HUB, endpoint, 1) if str(url).startswith(HUB) else str(url)

    class Elsewhere(urllib.request.Request):
        def __init__(self, url: str, *rest: Any, **named: Any) -> None:
            super().__init__(there(url), *rest, **named)

    urllib.request.Request = Elsewhere  # type: ignore[misc]
    for library in ("httpx", "httpx2"):
        with suppress(ImportError):
            _redirect_clients(importlib.import_module(library), there)


def _redirect_clients(library: Any, there: Any) -> None:
    for client in (library.Client, library.AsyncClient):
        built = client.build_request

        def elsewhere(self: Any, method: str, url: Any, built: Any = built, **named: Any) -> Any:
            return built(self, method, there(url), **named)

        client.build_request = elsewhere


if __name__ == "__main__":
    _, target, module, *arguments = sys.argv
    redirect(target)
    sys.argv = [module, *arguments]
    sys.exit(importlib.import_module(module).main())
