"""ImageBind: pictures, short clips, sound and sentences in one space; its weights are for non-commercial use."""

from extract.backbones.info import EXTRACT_MODULES, BackboneInfo, BuiltIn

BACKBONES = {
    "imagebind": BuiltIn(
        "extract.backbones.imagebind.backbone:load",
        BackboneInfo(
            visual_dim=1024,
            audio_dim=1024,
            checkpoints=("imagebind_huge.pth",),
            extra="av2a[extract]",
            modules=EXTRACT_MODULES,
            about="ImageBind: one space; weights CC BY-NC, for non-commercial use",
            licence=(
                "imagebind's weights are under CC BY-NC 4.0: they, and what is made with them, are for non-commercial "
                "use alone; their model card says research only"
            ),
        ),
    )
}
