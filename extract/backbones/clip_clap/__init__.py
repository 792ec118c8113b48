"""CLIP for pictures and CLAP for sound, from transformers or through the laion_clap package."""

from extract.backbones.info import EXTRACT_MODULES, BackboneInfo, BuiltIn

_CLIP = "timm/vit_base_patch32_clip_224.openai"

BACKBONES = {
    "clip_clap": BuiltIn(
        "extract.backbones.clip_clap.pair:load",
        BackboneInfo(
            visual_dim=512,
            audio_dim=512,
            checkpoints=(_CLIP, "laion/clap-htsat-unfused"),
            extra="av2a[extract]",
            modules=EXTRACT_MODULES,
            about="CLIP ViT-B/32 and CLAP, or image models and CLAPs of choice",
        ),
    ),
    "clip_laion_clap": BuiltIn(
        "extract.backbones.clip_clap.laion_backbone:load",
        BackboneInfo(
            visual_dim=512,
            audio_dim=512,
            checkpoints=(_CLIP, "lukewys/laion_clap 630k-audioset-best.pt"),
            extra="av2a[laion]",
            modules=(*EXTRACT_MODULES, "laion_clap"),
            about="clip_clap with sound through the laion_clap package",
        ),
    ),
}
