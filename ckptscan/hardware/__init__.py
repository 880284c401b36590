"""Cards and their real bytes, and the allocator that hands them out."""

from ckptscan.hardware.allocator import Allocator
from ckptscan.hardware.cards import CARDS, Card, Devices, parse_devices, spec_of

__all__ = ["CARDS", "Allocator", "Card", "Devices", "parse_devices", "spec_of"]
