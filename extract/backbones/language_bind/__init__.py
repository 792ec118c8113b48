"""LanguageBind: images, video and sound in the space of one text tower."""

from extract.backbones.info import EXTRACT_MODULES, BackboneInfo, BuiltIn

BACKBONES = {
    "language_bind": BuiltIn(
        "extract.backbones.language_bind.backbone:load",
        BackboneInfo(
            visual_dim=768,
            audio_dim=768,
            checkpoints=tuple(f"LanguageBind/LanguageBind_{part}" for part in ("Image", "Video_FT", "Audio_FT")),
            extra="av2a[extract]",
            modules=EXTRACT_MODULES,
            about="LanguageBind: a video encoder, one text space",
        ),
    )
}
