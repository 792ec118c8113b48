"""Numba kernels: pure functions of dense arrays, one operation a file, no allocation where it is hot.

They follow docs/design.md 4 and are compared with the plain NumPy reading in ``score/reference/scoring.py``. A label's
timeline of T <= 64 segments is one uint64 word, bit s for segment s.
"""
