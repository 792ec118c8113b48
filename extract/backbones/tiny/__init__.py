"""The classes of `clip_clap` at toy size, weights in the package: it knows the demo's clips alone (docs/tiny.md)."""

from extract.backbones.info import EXTRACT_MODULES, BackboneInfo, BuiltIn

BACKBONES = {
    "tiny": BuiltIn(
        "extract.backbones.tiny.backbone:load",
        BackboneInfo(
            visual_dim=64,
            audio_dim=64,
            checkpoints=("in the package",),
            extra="av2a[extract]",
            modules=EXTRACT_MODULES,
            about="a toy that knows the demo's clips",
            check="extract.checking.drawings:kit",
        ),
    )
}
