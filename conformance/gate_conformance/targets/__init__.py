"""Targets: what a target string stands for, and how it is reached."""

from __future__ import annotations

from gate_conformance.targets.base import Target, TargetOptions
from gate_conformance.targets.parse import parse_target

__all__ = ["Target", "TargetOptions", "parse_target"]
