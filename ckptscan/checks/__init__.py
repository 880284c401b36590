"""Audit: what is wrong with a checkpoint, told by headers, indexes, configs and the file list.

The modules that hold checks are listed here by hand; a test proves the list complete.
"""

from __future__ import annotations

from ckptscan.checks.proof import Amiss, Proof
from ckptscan.checks.running import (
    Audit,
    Crash,
    Ignored,
    Selection,
    Skip,
    all_checks,
    audit,
    codes_of,
    find_check,
)
from ckptscan.checks.values import HEADINGS, SEVERITIES, Check, Finding, Given, Subject, Where

# in the order of the families: headers, index, config, structure, dtypes, quantization, security,
# efficiency, adapters, values, policy, lock
MODULES = (
    "header_file",
    "header_entries",
    "header_layout",
    "header_tensors",
    "header_metadata",
    "index_files",
    "index_map",
    "index_size",
    "config_sizes",
    "config_widths",
    "config_parts",
    "config_towers",
    "config_experts",
    "config_ties",
    "config_tokens",
    "config_promises",
    "structure_outliers",
    "structure_gaps",
    "structure_missing",
    "structure_names",
    "structure_ranks",
    "dtype_use",
    "quant_books",
    "quant_config",
    "quant_siblings",
    "security_paths",
    "security_code",
    "security_names",
    "security_metadata",
    "efficiency_layout",
    "efficiency_twice",
    "efficiency_extra",
    "adapter_parts",
    "adapter_base",
    "values_finite",
    "values_empty",
    "values_alike",
    "values_digest",
    "values_scales",
    "values_size",
    "values_rows",
    "policy_rules",
    "lock_tensors",
    "lock_files",
)

__all__ = [
    "HEADINGS",
    "MODULES",
    "SEVERITIES",
    "Amiss",
    "Audit",
    "Check",
    "Crash",
    "Finding",
    "Given",
    "Ignored",
    "Proof",
    "Selection",
    "Skip",
    "Subject",
    "Where",
    "all_checks",
    "audit",
    "codes_of",
    "find_check",
]
