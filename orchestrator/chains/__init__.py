"""Chains: deployments that follow one another, each step when those that it waits for have ended so or so.

Pure rules: what a document says, the triggers that stand for it, and how far one run of it has come. The server keeps
chains and acts.
"""

from __future__ import annotations

from .compiling import STEP_ROLE, trigger_documents
from .documents import ENDS, ChainSpec, Step, read
from .progress import Reached, StepRun, progress, whole

__all__ = [
    "ENDS",
    "STEP_ROLE",
    "ChainSpec",
    "Reached",
    "Step",
    "StepRun",
    "progress",
    "read",
    "trigger_documents",
    "whole",
]
