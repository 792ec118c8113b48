"""Run as a process in an environment with laion_clap: one random checkpoint, embedded on three roads.

    HF_HOME=… python -m tests.laion_embeddings FOLDER

Writes FOLDER/clap/made.pt and FOLDER/embeddings.npz.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from extract.backbones.clip_clap.clap_tower import ClapTower
from extract.backbones.clip_clap.laion_tower import LaionClapTower
from extract.backbones.weights import quiet
from tests.laion_models import save_laion, stir

GOLDEN = Path(__file__).parent / "golden" / "clip_clap" / "logmel.npz"
PROMPTS = ["This is a sound of church bell", "This is a sound of Frying_(food)", "This is a sound of " + "word " * 60]
CPU = torch.device("cpu")


def main(folder: Path) -> None:
    with np.load(GOLDEN) as golden:
        waves = [torch.from_numpy(golden[name]) for name in sorted(golden) if name.endswith("_wave")]
    found: dict[str, Any] = {}
    with quiet(), torch.inference_mode():
        laion_clap = _import()
        module = laion_clap.CLAP_Module(enable_fusion=False, device="cpu")
        stir(module.model, seed=5)
        state = {**module.model.state_dict(), "text_branch.embeddings.position_ids": torch.arange(90)[None]}
        file = save_laion(folder / "clap" / "made.pt", state)
        found["package_audio"] = module.get_audio_embedding_from_data(waves, use_tensor=True)
        found["package_text"] = module.get_text_embedding(PROMPTS, use_tensor=True)
    path, loaded = list(sys.path), set(sys.modules)
    package = LaionClapTower.from_laion_file(file, CPU, "float32")
    found["path_kept"] = sys.path == path and not {"hook", "training"} & (set(sys.modules) - loaded)
    ours = ClapTower.from_laion_file(file, CPU, "float32")
    halved = LaionClapTower.from_laion_file(file, CPU, "bfloat16")
    for name, tower in (("tower", package), ("ours", ours), ("halved", halved)):
        found[f"{name}_audio"] = tower.encode_audio(tower.prepare_audio(waves))
        found[f"{name}_text"] = tower.encode_text(PROMPTS)
    found["text_alone"] = package.encode_text(PROMPTS[1:2])
    found.update(_cuts(package))
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in found.items()}
    np.savez(folder / "embeddings.npz", **arrays)


def _import() -> Any:
    """As :mod:`extract` does it, without the rest."""
    from extract.backbones.clip_clap import laion_tower as laion_clap_tower

    return laion_clap_tower.import_package()


def _cuts(tower: LaionClapTower) -> dict[str, Any]:
    """Where a ramp longer than the window is cut: by default, and twice at random with one seed."""
    ramp: Sequence[torch.Tensor] = [torch.arange(500_000.0)]
    first, second = (tower.prepare_audio(ramp, np.random.RandomState(3))[0, 0] for _ in range(2))
    return {"centre": tower.prepare_audio(ramp)[0, 0], "random": torch.stack([first, second])}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
