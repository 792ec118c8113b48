"""Where an image model's weights, configuration and tokenizer are: a folder, or the model hub and its cache."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extract.backbones.clip_clap.image_models import find_image_model
from extract.backbones.weights import first_there, from_hub, no_weights, quiet
from extract.errors import ExtractError

LOCAL, HUB = "local-dir:", "hf-hub:"
"""How open_clip calls a folder that describes itself, and a repository that does."""
CONFIG_FILE = "open_clip_config.json"

_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin", "model.safetensors", "pytorch_model.bin")
_ENDINGS = (".safetensors", ".bin", ".pt", ".pth")
_WORDS = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
_BESIDE_WORDS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json", "merges.txt")


@dataclass(frozen=True)
class ImageSource:
    """An image model on disk.

    Attributes:
        model: what it is called in caches: "NAME:TAG", "NAME", "local-dir:FOLDER" (the folder's own name) or
            "hf-hub:OWNER/NAME".
        architecture: what open_clip builds it by.
        weights: their file.
        origin: where they came from.
        preprocess: what becomes of pictures, over what the architecture says.
        tokenizer: folder of the tokenizer that transformers reads; None: open_clip's own.
        text_config: folder with the config.json of a text tower of transformers; None: open_clip's own.
    """

    model: str
    architecture: str
    weights: Path
    origin: str
    preprocess: Mapping[str, Any]
    tokenizer: Path | None
    text_config: Path | None


def find_image_source(asked: str, folder: Path | None) -> ImageSource:
    """Find an image model, fetching it from the hub where it is not here.

    Args:
        asked: "NAME:TAG" or "NAME" of open_clip, "local-dir:PATH" or "hf-hub:OWNER/NAME".
        folder: with its weights, and perhaps open_clip_config.json and tokenizer; None: the hub has them.

    Raises:
        ExtractError: no such model, or something of it is not to be had; says which, and how to place it.
    """
    with quiet():
        import open_clip
    if asked.startswith((LOCAL, HUB)):
        home, model, origin = _self_described(asked, folder)
        architecture, preprocess = f"{LOCAL}{home}", dict[str, Any]()
        weights = weights_in(home)
    else:
        model = find_image_model(asked, weights_here=folder is not None)
        architecture = model.partition(":")[0]
        if folder is None:
            weights, origin = _from_hub(model)
            preprocess = _preprocess(model)
        else:
            weights, origin = weights_in(folder), f"{folder.parent.name}/{folder.name}"
            preprocess = _preprocess(model, folder)
        home = weights.parent
    try:
        text: dict[str, Any] = open_clip.get_model_config(architecture)["text_cfg"]
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ExtractError(f"{home / CONFIG_FILE}: describes no model of open_clip ({error!r})") from error
    tokenizer, config = text.get("hf_tokenizer_name"), text.get("hf_model_name")
    return ImageSource(
        model=model,
        architecture=architecture,
        weights=weights,
        origin=origin,
        preprocess=preprocess,
        tokenizer=None if not tokenizer else _text_files(model, home, str(tokenizer), _WORDS, _BESIDE_WORDS),
        text_config=None if not config else _text_files(model, home, str(config), ("config.json",), ()),
    )


def weights_in(folder: Path) -> Path:
    """The file of weights of a folder: one of open_clip's names, or the only one of its kind.

    Raises:
        ExtractError: there is none, or several.
    """
    known = first_there(folder, _NAMES)
    if known is not None:
        return known
    found = sorted(path for path in folder.glob("*") if path.suffix in _ENDINGS) if folder.is_dir() else []
    if len(found) != 1:
        there = ", ".join(path.name for path in found[:4]) or "none"
        raise ExtractError(f"{folder}: one file of weights is expected, {_NAMES[0]} or another; there is {there}")
    return found[0]


def _self_described(asked: str, folder: Path | None) -> tuple[Path, str, str]:
    """The folder of a model that comes with its configuration, what it is called, and where it came from."""
    if asked.startswith(LOCAL):
        home = Path(asked.removeprefix(LOCAL))
        if not (home / CONFIG_FILE).is_file():
            raise ExtractError(f"{home} has no {CONFIG_FILE}: name its folder, `image_model='{LOCAL}PATH'`")
        name = home.resolve().name
        return home, f"{LOCAL}{name}", name
    repository = asked.removeprefix(HUB)
    found = folder or from_hub(repository, _NAMES, [CONFIG_FILE], [*_WORDS, *_BESIDE_WORDS])
    if found is None:
        raise no_weights([repository], "DIR/clip/")
    if not (found / CONFIG_FILE).is_file():
        raise ExtractError(f"{found} has no {CONFIG_FILE}: place all files of {repository} there")
    return found, asked, f"{repository}@{found.name}" if folder is None else f"{found.parent.name}/{found.name}"


def _from_hub(model: str) -> tuple[Path, str]:
    """The file of weights of "NAME:TAG", and where it came from."""
    import open_clip

    home: str = open_clip.get_pretrained_cfg(*model.split(":")).get("hf_hub", "")
    repository, _, file = home.rpartition("/")
    names = [f"{Path(file).stem}.safetensors", file] if file else list(_NAMES[:2])
    folder = from_hub(repository, names) if repository else None
    weights = None if folder is None else first_there(folder, names)
    if folder is None or weights is None:
        raise no_weights([repository or model], "DIR/clip/")
    return weights, f"{repository}@{folder.name}"


def _preprocess(model: str, folder: Path | None = None) -> dict[str, Any]:
    """What becomes of pictures before a model of open_clip's own names: what its tag says, the folder, or all its tags.

    Raises:
        ExtractError: there is no telling.
    """
    import open_clip

    name, _, tag = model.partition(":")
    described = None if folder is None else folder / CONFIG_FILE
    if not tag and described is not None and described.is_file():
        try:
            return dict(json.loads(described.read_text("utf-8")).get("preprocess_cfg", {}))
        except (AttributeError, TypeError, ValueError) as error:
            raise ExtractError(f"{described}: cannot be read ({error!r})") from error
    tags = [tag] if tag else open_clip.list_pretrained_tags_by_model(name)
    found: list[dict[str, Any]] = []
    for each in tags:
        config = open_clip.get_pretrained_cfg(name, each)
        wanted = {key: config[key] for key in ("mean", "std", "interpolation", "resize_mode")}
        if wanted not in found:
            found.append(wanted)
    if len(found) > 1:
        raise ExtractError(
            f"{name}: its tags prepare pictures in {len(found)} ways: place {CONFIG_FILE} beside the weights, or name "
            f"the tag, `image_model='{name}:TAG'` ({', '.join(tags[:4])}{', …' if len(tags) > 4 else ''})"
        )
    return found[0] if found else {}  # of an architecture without tags: open_clip's own default, CLIP's


def _text_files(model: str, home: Path, repository: str, needed: tuple[str, ...], also: tuple[str, ...]) -> Path:
    """A folder with one of the needed files of a repository: beside the weights, or from the hub.

    Raises:
        ExtractError: there is none.
    """
    name = repository.rpartition("/")[2]
    beside = (home / name, *([home] if needed is _WORDS else []))
    for folder in beside:
        if first_there(folder, needed) is not None:
            return folder
    found = from_hub(repository, needed, (), also)
    if found is None:
        what = "its tokenizer" if needed is _WORDS else "the configuration of its text tower"
        raise ExtractError(
            f"{model} needs {what}, {repository}, which is not here, nor a model hub: place its files in "
            f"{name}/ beside the weights, `checkpoint='DIR'`"
        )
    return found
