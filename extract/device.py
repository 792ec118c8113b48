"""Where and how exactly the encoders compute."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from extract.errors import ExtractError

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def resolve_device(name: str) -> torch.device:
    """The device of a name: "auto" (a CUDA GPU if there is one), "cpu", "cuda", "cuda:i".

    Raises:
        ExtractError: a name that is none of these, or a GPU that is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (number.isdecimal() or name == "cuda"):
        raise ExtractError(f"device {name!r}: use auto, cpu, cuda or cuda:i")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(number or 0) >= count:
        raise ExtractError(f"device {name!r}: PyTorch sees {count or 'no'} CUDA GPU here; use `device='cpu'`")
    return torch.device(name)


def check_precision(name: str) -> str:
    """The same name.

    Raises:
        ExtractError: it is none of :data:`PRECISIONS`.
    """
    if name not in PRECISIONS:
        raise ExtractError(f"precision {name!r}: use one of {', '.join(PRECISIONS)}")
    return name


@contextmanager
def arithmetic(device: torch.device, precision: str) -> Iterator[None]:
    """Inference in one precision, with the same result each time.

    float32 means float32: no TF32. Lower precisions go through autocast: matrix products in half, sums and
    normalisations in float32.
    """
    with (
        torch.inference_mode(),
        torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=precision != "float32"
        ),
        torch.autocast(device.type, PRECISIONS[precision], enabled=precision != "float32"),
    ):
        yield
