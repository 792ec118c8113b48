"""CLAP through the laion_clap package itself: sound and sentences to unit vectors.

Nothing of the package is imported before a tower is built.
"""

import importlib
import importlib.util
import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from extract.backbones.clip_clap.clap_tower import cut_at_random, more_tokens
from extract.backbones.clip_clap.laion_checkpoint import (
    check_tensors,
    mel_of,
    read_laion_file,
    stages,
    without_counters,
)
from extract.backbones.clip_clap.log_mel import fit_window
from extract.backbones.weights import first_line, from_hub, quiet, sha256
from extract.device import arithmetic
from extract.errors import ExtractError

REPOSITORY = "lukewys/laion_clap"
WEIGHT_FILE = "630k-audioset-best.pt"
"""The package's own default checkpoint of a model without fusion."""

_PACKAGE = "laion_clap"
_MODULE = "clap_module"  # what the package puts on sys.path under a name of its own

# what its import and its constructor read from the hub, weights first
_NEEDED = (
    ("bert-base-uncased", ("vocab.txt",), ("config.json",)),
    ("facebook/bart-base", ("vocab.json",), ("merges.txt", "config.json")),
    ("roberta-base", ("model.safetensors", "pytorch_model.bin"), ("vocab.json", "merges.txt", "config.json")),
)
_ARCHITECTURES = {  # width of the first stage, blocks of the stages, samples of a transform
    (96, (2, 2, 6, 2), 1024): "HTSAT-tiny",
    (96, (2, 2, 6, 2), 1536): "HTSAT-tiny-win-1536",
    (128, (2, 2, 12, 2), 1024): "HTSAT-base",
    (256, (2, 2, 12, 2), 1024): "HTSAT-large",
}


class LaionClapTower:
    """A CLAP_Module; takes the place of :class:`extract.backbones.clip_clap.clap_tower.ClapTower`."""

    def __init__(self, module: Any, weights: Path, device: torch.device, precision: str) -> None:
        """Take over a loaded module; for the class method's use."""
        self.mel = mel_of(module.model.state_dict())
        self.sample_rate = self.mel.sample_rate
        self.dim = int(module.model.joint_embed_shape)
        self.weights = weights
        self._module = module
        self._device, self._precision = device, precision
        branch = module.model.audio_branch
        for part in (branch.spectrogram_extractor, branch.logmel_extractor):
            part.forward = _in_float32(part.forward, device.type)

    @classmethod
    def from_laion_file(cls, path: Path | None, device: torch.device, precision: str) -> "LaionClapTower":
        """Build the package's model and hand it the tensors of one of its .pt files, one without fusion.

        Args:
            path: the file; None: :data:`WEIGHT_FILE`, from the hub or its cache.
            device: where to compute.
            precision: arithmetic, see :mod:`extract.device`; the front end stays in float32.

        Raises:
            ExtractError: the package, the file or what the package needs of the hub is missing, or the
                file is damaged or of a model that the package does not build.
        """
        check_package()
        weights = path or _default_weights()
        state = read_laion_file(weights)
        architecture = _architecture(weights, state)
        _fetch_needed()
        with quiet(), redirect_stdout(io.StringIO()), _offline():
            try:
                module = import_package().CLAP_Module(enable_fusion=False, device=str(device), amodel=architecture)
            except ExtractError:
                raise
            except Exception as error:  # what a package of 2023 raises under libraries of today is open
                raise ExtractError(f"laion_clap cannot build its model ({first_line(error)})") from error
        expected = module.model.state_dict()
        state = without_counters(state, expected)
        check_tensors(weights, state, expected)
        module.model.load_state_dict(state)
        module.eval().requires_grad_(False)
        return cls(module, weights, device, precision)

    def prepare_audio(self, waves: Sequence[Tensor], random: np.random.RandomState | None = None) -> Tensor:
        """n stretches of sound, float32 (samples,) each, to float32 (n, window_samples).

        Shorter ones are repeated whole times, then filled with zeros. Longer ones are cut to their centre,
        with ``random`` at a random place as the package would.
        """
        samples = self.mel.window_samples
        return torch.stack([fit_window(cut_at_random(wave, samples, random), samples) for wave in waves])

    def encode_audio(self, sounds: Tensor) -> Tensor:
        """Sound of the window's length, float32 (n, window_samples), to float32 (n, Da), unit length.

        The samples go in as they are; arrays (not tensors) the package would round to 16 bits first.
        """
        with arithmetic(self._device, self._precision):
            features: Tensor = self._module.get_audio_embedding_from_data(x=sounds.to(self._device), use_tensor=True)
            return features.float()

    def encode_text(self, prompts: Sequence[str]) -> Tensor:
        """Sentences to float32 (n, Da), unit length."""
        with arithmetic(self._device, self._precision):
            features: Tensor = self._module.get_text_embedding(list(prompts), use_tensor=True)
            return features.float()

    def sentences_cut(self, prompts: Sequence[str]) -> list[bool]:
        """Which sentences have more tokens than the encoder reads."""
        return more_tokens(self._module.tokenize, prompts)

    def attributes(self) -> dict[str, Any]:
        """What identifies package, weights and front end."""
        from importlib.metadata import version

        return {
            "package": f"{_PACKAGE} {version(_PACKAGE)}",
            "file": self.weights.name,
            "sha256": sha256(self.weights),
            "log_mel": asdict(self.mel),
            "windows": "shorter repeated whole times, then zeros; longer cut to the centre",
        }


def check_package() -> None:
    """Say so if laion_clap is not installed; nothing of it is imported.

    Raises:
        ExtractError: it is not there.
    """
    if importlib.util.find_spec(_PACKAGE) is None:
        raise ExtractError(
            "backbone clip_laion_clap: the package laion_clap is not installed; "
            "pip install 'av2a[laion]' in an environment of its own (Python 3.11 or 3.12)"
        )


def _default_weights() -> Path:
    folder = from_hub(REPOSITORY, [WEIGHT_FILE])
    if folder is None:
        raise ExtractError(
            f"no {WEIGHT_FILE} of {REPOSITORY} here and the model hub cannot be reached: "
            "place it in DIR/clap/ beside DIR/clip/ and give `checkpoint='DIR'`, or `clap_checkpoint='FILE'`"
        )
    return folder / WEIGHT_FILE


def _architecture(path: Path, state: Mapping[str, Tensor]) -> str:
    """The package's name for the sound tower of a checkpoint."""
    try:
        width = int(state["audio_branch.patch_embed.proj.weight"].shape[0])
        found = (width, tuple(len(stage) for stage in stages(state)), mel_of(state).fft_size)
    except KeyError as error:
        raise ExtractError(f"{path}: 1 tensors are missing ({error.args[0]})") from error
    if found not in _ARCHITECTURES:
        raise ExtractError(
            f"{path}: its sound tower (width {found[0]}, blocks {found[1]}, transforms of {found[2]}) "
            f"is none of {', '.join(_ARCHITECTURES.values())}"
        )
    return _ARCHITECTURES[found]


def _fetch_needed() -> None:
    """Bring what laion_clap reads from the hub into the hub's cache.

    Raises:
        ExtractError: something is not there and the hub gives it not.
    """
    missing = [
        f"{repository} ({' or '.join(weights)}{''.join(f', {name}' for name in others)})"
        for repository, weights, others in _NEEDED
        if from_hub(repository, weights, others) is None
    ]
    if missing:
        from huggingface_hub import constants

        raise ExtractError(
            f"laion_clap needs {' and '.join(missing)} from the model hub, which cannot be reached: "
            f"load them where there is a network and bring that HF_HOME here (it is {constants.HF_HOME})"
        )


@contextmanager
def _offline() -> Iterator[None]:
    """Let loaders be content with the hub's cache: all that is needed is there, and every question costs time."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def import_package() -> Any:
    """Import laion_clap and leave sys.path as it was.

    Its modules import each other as `clap_module`, from its own folder; that stays in sys.modules.

    Raises:
        ExtractError: another `clap_module` is imported already.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    home = "" if spec is None or spec.origin is None else str(Path(spec.origin).parent)
    other = sys.modules.get(_MODULE)
    place = str(getattr(other, "__file__", None))
    if other is not None and not place.startswith(home):
        raise ExtractError(
            f"laion_clap cannot be imported beside the module {_MODULE} of {place}: a part of it is so named"
        )
    before = list(sys.path)
    sys.path.insert(0, home)  # first, so that no module of the user's is taken for a part of it
    try:
        return importlib.import_module(_PACKAGE)
    finally:
        sys.path[:] = before


def _in_float32(forward: Callable[[Tensor], Tensor], kind: str) -> Callable[[Tensor], Tensor]:
    """The same function outside autocast."""

    def exact(values: Tensor) -> Tensor:
        with torch.autocast(kind, enabled=False):
            return forward(values)

    return exact
