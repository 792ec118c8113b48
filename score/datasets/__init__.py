"""Annotations: what is truly seen and heard in the clips of a split (docs/design.md 4.8)."""

from score.datasets.annotations import Annotations, Truth

__all__ = ["Annotations", "Truth"]
