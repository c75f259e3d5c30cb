"""Patch-based image recognition, benchmarked: images, patches, votes, decisions."""

__version__ = "0.1.0"
