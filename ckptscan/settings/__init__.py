"""Settings of a project for audit: `ckptscan.toml`, or the section `[ckptscan]` of setup.cfg.

Keys stand at the top of ckptscan.toml, or all of them in one table `[ckptscan]`:

    select = ["H", "I"]
    ignore = ["D001"]
    fail-on = "warning"
    baseline = "ckptscan-baseline.json"
    policy = ["experts are F8_E4M3", "warning: no F32 over 1 % of bytes because the card says so"]

    [[allow]]
    check = "S001"
    path = "models/zaya*"
    tensor = "model.layers.0.*"
    reason = "the first layer has no conv by design"

    [[policy]]
    rule = "parameters = 8.03 B"
    path = "models/llama*"

Of a list, either lines or tables can be written so; TOML takes no mixture. In setup.cfg lists are
lines, and a permission, there or as a line of `allow`, reads
`S001 path models/zaya* tensor model.layers.0.* because the first layer has no conv by design`.
`reading` reads them; it is imported where there is a file.
"""

from ckptscan.settings.values import Settings

__all__ = ["Settings"]
