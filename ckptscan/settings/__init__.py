"""Settings of a project for audit: `ckptscan.toml`, or the section `[ckptscan]` of setup.cfg.

Keys stand at the top of ckptscan.toml, without a table:

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

(a list of policy holds lines or tables, not both in toml's two ways of writing it). In setup.cfg
lists are lines, and a permission reads
`S001 path models/zaya* tensor model.layers.0.* because the first layer has no conv by design`.
"""

from ckptscan.settings.reading import CONFIG, SECTION, has_section, read_settings
from ckptscan.settings.values import Settings

__all__ = ["CONFIG", "SECTION", "Settings", "has_section", "read_settings"]
