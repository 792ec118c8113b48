"""What the installed open_clip knows of image models, without downloading anything; their names as it has them."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from extract.errors import ExtractError
from feature_cache.names import nearest, shortened

USUAL = "ViT-B-32-quickgelu:openai"
"""The image model of `clip_clap` where none is chosen."""
_QUICK = "-quickgelu"
_LICENCES = (
    (("metaclip", "worldwide", "nllb-clip"), "CC BY-NC 4.0, for non-commercial use"),
    (("dfn", "mobileclip"), "a licence of Apple's, for research"),
)
"""What model cards say that forbids a use, by parts of names and tags."""


@dataclass(frozen=True)
class ImageModel:
    """An image model of open_clip.

    Attributes:
        name: of its architecture.
        tags: of the weights that there are; none: open_clip knows of none.
        dim: Dv, length of an embedding.
        height: of the pictures that it sees, in pixels.
        width: likewise.
    """

    name: str
    tags: tuple[str, ...]
    dim: int
    height: int
    width: int


def list_image_models(pattern: str = "") -> list[ImageModel]:
    """Image models by name, in open_clip's order.

    Args:
        pattern: a part of a name, or of "NAME:TAG", in any case; empty: all of them.

    Raises:
        ImportError: open_clip is not installed.

    Example:
        >>> list_image_models("siglip2-384")[0].tags
        ('webli',)
    """
    import open_clip

    found, part = [], pattern.lower()
    for name in open_clip.list_models():
        tags = open_clip.list_pretrained_tags_by_model(name)
        fitting = tags if part in name.lower() else [tag for tag in tags if part in f"{name}:{tag}".lower()]
        if part not in name.lower() and not fitting:
            continue
        config: dict[str, Any] = open_clip.get_model_config(name)
        size = config["vision_cfg"].get("image_size", 224)
        height, width = (size, size) if isinstance(size, int) else size
        found.append(ImageModel(name, tuple(fitting), int(config["embed_dim"]), int(height), int(width)))
    return found


def find_image_model(asked: str, *, weights_here: bool = False) -> str:
    """An image model as open_clip has it, "NAME:TAG"; "NAME" alone where the weights are at hand.

    Weights that were trained with the quick form of GELU are had under the name that ends so.

    Args:
        asked: "NAME:TAG", or "NAME" where there is one tag only, or where the weights are at hand.
        weights_here: they are.

    Raises:
        ExtractError: no such model (names the nearest), or no such tag, or none where one is needed (names those there
            are).
    """
    import open_clip

    name, _, tag = asked.partition(":")
    name = name.replace("/", "-")  # as open_clip reads it
    known = open_clip.list_models()
    if name not in known:
        near = ", ".join(nearest(name, known, 3))
        raise ExtractError(
            f"open_clip {version('open_clip_torch')} has no image model {shortened(name, 60)!r}"
            f"{f' (nearest: {near})' if near else ''}: `list_image_models()` lists them"
        )
    tags = open_clip.list_pretrained_tags_by_model(name)
    if not tag:
        if weights_here:
            return name
        if not tags:
            raise ExtractError(f"open_clip knows no weights of {name}: place yours in DIR/clip/, `checkpoint='DIR'`")
        if len(tags) > 1:
            raise ExtractError(
                f"`image_model='{name}:TAG'` needs one of its tags, or `checkpoint='DIR'` its weights: {_listed(tags)}"
            )
        tag = tags[0]
    config = open_clip.get_pretrained_cfg(name, tag)
    if not config:
        meant = "".join(f" (nearest: {near})" for near in nearest(tag, tags))
        raise ExtractError(
            f"image model {name} has no weights {shortened(tag, 60)!r}{meant}: its tags are {_listed(tags) or 'none'}"
        )
    tag = tag.lower().replace("-", "_")  # as open_clip reads it
    quick = f"{name}{_QUICK}"
    if config.get("quick_gelu") and not name.endswith(_QUICK) and quick in known:
        return f"{quick}:{tag}"
    return f"{name}:{tag}"


def licence_of(image_model: str) -> str:
    """What the model card of an image model says that forbids a use; empty where nothing is known of the kind.

    Example:
        >>> licence_of("ViT-B-16-SigLIP2:webli")
        ''
    """
    for parts, licence in _LICENCES:
        if any(part in image_model.lower() for part in parts):
            return f"{image_model}: its model card says {licence}: look there"
    return ""


def _listed(tags: list[str]) -> str:
    shown = shortened(", ".join(tags), 180)
    return shown if len(tags) < 2 or "…" not in shown else f"{shown} ({len(tags)} of them)"
