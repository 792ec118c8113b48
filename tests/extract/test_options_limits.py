"""Absurd numbers: one line that names the argument and its range, before anything is done."""

import math
from typing import Any

import pytest

from extract import ExtractError
from extract.options import MOST, ExtractOptions


@pytest.mark.parametrize("name", MOST)
@pytest.mark.parametrize("value", [0, -1, 10**12])
def test_numbers_out_of_range(name: str, value: Any) -> None:
    most: Any = MOST[name]
    with pytest.raises(ExtractError, match=rf"{name} must be at (least 1|most {MOST[name]}), got {value}"):
        ExtractOptions(**{name: value})
    assert getattr(ExtractOptions(**{name: most}), name) == most


@pytest.mark.parametrize("name", ["clip_seconds", "stride", "clip_timeout"])
@pytest.mark.parametrize("value", [0.0, -1.0, 1e12, math.nan, math.inf, -math.inf])
def test_seconds_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(ExtractError, match=f"`{name}"):
        ExtractOptions(**{name: value})
