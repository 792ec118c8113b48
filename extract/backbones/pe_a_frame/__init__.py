"""PE-A-Frame: sound events that are named by words, found 25 times a second; it gives probabilities, not embeddings."""

from extract.backbones.info import EXTRACT_MODULES, BackboneInfo, BuiltIn

_SIZES = {"pe_a_frame": "large", "pe_a_frame_base": "base", "pe_a_frame_small": "small"}

BACKBONES = {
    name: BuiltIn(
        f"extract.backbones.pe_a_frame.backbone:load_{size}",
        BackboneInfo(
            visual_dim=0,
            audio_dim=0,
            checkpoints=(f"facebook/pe-a-frame-{size}",),
            extra="av2a[extract]",
            modules=EXTRACT_MODULES,
            about=f"PE-A-Frame {size}: a detector of sounds",
        ),
    )
    for name, size in _SIZES.items()
}
