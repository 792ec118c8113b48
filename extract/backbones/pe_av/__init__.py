"""Perception Encoder Audio-Visual: pictures, sound, both at once, and sentences, through transformers."""

from extract.backbones.info import EXTRACT_MODULES, BackboneInfo, BuiltIn
from extract.backbones.pe_av.names import CHECKPOINTS, Published


def _of(name: str, published: Published) -> BuiltIn:
    frames = f", {published.frames} frames a window" if published.frames else ""
    return BuiltIn(
        f"extract.backbones.pe_av.backbone:load_{name}",
        BackboneInfo(
            visual_dim=1024,
            audio_dim=1024,
            joint_dim=1024,
            checkpoints=(published.repository,),
            extra="av2a[extract]",
            modules=(*EXTRACT_MODULES, "timm"),
            about=f"PE-AV {published.size}: picture, sound, both at once (joint){frames}",
        ),
    )


BACKBONES = {name: _of(name, published) for name, published in CHECKPOINTS.items()}
