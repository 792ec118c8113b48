"""Perception Encoder Audio-Visual: pictures, sound, both at once, and sentences, through transformers."""

from extract.backbones.info import EXTRACT_MODULES, BackboneInfo, BuiltIn
from extract.backbones.pe_av.names import CHECKPOINTS, Published


def _of(name: str, published: Published) -> BuiltIn:
    about = f"PE-AV, {published.about}: joint embeddings, too"
    if published.frames:
        about = f"{published.about} of {published.frames} frames a window"
    return BuiltIn(
        f"extract.backbones.pe_av.backbone:load_{name}",
        BackboneInfo(
            visual_dim=1024,
            audio_dim=1024,
            joint_dim=1024,
            checkpoints=(published.repository,),
            extra="av2a[extract]",
            modules=(*EXTRACT_MODULES, "timm"),
            about=about,
        ),
    )


BACKBONES = {name: _of(name, published) for name, published in CHECKPOINTS.items()}
