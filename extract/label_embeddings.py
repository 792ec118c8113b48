"""Labels to sentences to text embeddings: open vocabulary, without a video."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from extract.backbones import licence_notes, load_backbone, with_models
from extract.backbones.base import Backbone, JointBackbone
from extract.errors import ExtractError
from extract.label_notes import text_notes
from extract.label_sets import LabelSet, find_label_set
from extract.provenance import differences
from feature_cache import CacheError, FeatureCache

SENTENCES_AT_ONCE = 128
"""Sentences in one pass of a text encoder."""
_PLACE = "{label}"


class TextEmbeddings(NamedTuple):
    """Embeddings of C labels.

    Attributes:
        visual: float32 (C, Dv), to compare frames with.
        audio: float32 (C, Da), to compare sound with.
        prompts: the sentences, by "visual", "audio" and "joint": C strings, or C lists where several were averaged.
        one_table: visual and audio embeddings are the same.
        joint: float32 (C, Dj), to compare embeddings of picture and sound at once with; None: not wanted.
    """

    visual: NDArray[np.float32]
    audio: NDArray[np.float32]
    prompts: dict[str, list[str] | list[list[str]]]
    one_table: bool
    joint: NDArray[np.float32] | None = None


def encode_labels(
    backbone: Backbone,
    labels: Sequence[str],
    visual_prompts: Sequence[str] = (),
    audio_prompts: Sequence[str] = (),
    *,
    joint: bool = False,
) -> TextEmbeddings:
    """Embed labels through prompts.

    Several prompts of one side are embedded each, averaged and brought back to unit length. That is sound
    for unit vectors only: where norms carry meaning (CLIP's raw features) the mean of several vectors has
    another norm, which shifts the logits of its label against the others'.

    Args:
        backbone: the encoders.
        labels: C labels as the user wrote them.
        visual_prompts: sentences with "{label}"; none: the backbone's own.
        audio_prompts: the same for the audio side.
        joint: also for picture and sound at once, through the visual prompts.

    Raises:
        ExtractError: a prompt without "{label}", or several where vectors are not unit vectors; encoders without such
            text.
    """
    return _encode(backbone, _Sentences.of(backbone, labels, visual_prompts, audio_prompts, joint=joint))


def add_labels(
    cache: FeatureCache,
    name: str,
    labels: Sequence[str],
    backbone: Backbone,
    visual_prompts: Sequence[str] = (),
    audio_prompts: Sequence[str] = (),
    *,
    overwrite: bool = False,
) -> bool:
    """Add a label set's embeddings to a cache, unless the same labels in the same prompts are there.

    Returns:
        Whether the set was written.

    Raises:
        ExtractError: a set of that name with other labels or prompts is there, or prompts that cannot be used.
        CacheError: a name or labels that a cache cannot hold.
    """
    sentences = _Sentences.of(backbone, labels, visual_prompts, audio_prompts, joint=cache.joint_dim > 0)
    if not overwrite and _is_there(cache, name, labels, sentences):
        return False
    text = _encode(backbone, sentences)
    try:
        cache.add_text(
            name,
            labels=labels,
            visual=text.visual,
            audio=None if text.one_table else text.audio,
            joint=text.joint,
            prompts=text.prompts,
            overwrite=overwrite,
        )
    except CacheError:
        if overwrite or not _is_there(cache, name, labels, sentences):
            raise
        return False  # another process has added the same meanwhile
    return True


def _is_there(cache: FeatureCache, name: str, labels: Sequence[str], sentences: "_Sentences") -> bool:
    """Whether the same set is in a cache.

    Raises:
        ExtractError: another one of that name is.
    """
    if name not in cache.text_names:
        return False
    there = cache.text(name)
    if list(there.labels) == list(labels) and dict(there.prompts) == sentences.shown():
        return True
    what = "prompts" if list(there.labels) == list(labels) else "labels"
    raise ExtractError(f"{cache.path} has a label set {name!r} with other {what}: choose another name, or overwrite it")


class AddedLabels(NamedTuple):
    """What :func:`add_label_set` did.

    Attributes:
        name: the set's name in the cache.
        labels: number of labels.
        new: whether it was written; else the same set was there.
        notes: what a person should know of it, a line each.
    """

    name: str
    labels: int
    new: bool
    notes: tuple[str, ...] = ()


def add_label_set(
    path: PathLike[str] | str,
    labels: Path | str,
    name: str | None = None,
    visual_prompts: Sequence[str] = (),
    audio_prompts: Sequence[str] = (),
    *,
    checkpoint: Path | str | None = None,
    clap_checkpoint: Path | str | None = None,
    image_model: str | None = None,
    audio_model: str | None = None,
    overwrite: bool = False,
) -> AddedLabels:
    """Add a label set to a cache with the backbone that made it, on the CPU.

    Args:
        path: the cache.
        labels: name of a packaged label set, or a text file.
        name: the set's name in the cache; None: its own name.
        visual_prompts: sentences with "{label}"; none: those that the set brings, or else the backbone's own.
        audio_prompts: the same for the audio side.
        checkpoint: folder with local weights, the ones that the cache was made with.
        clap_checkpoint: a .pt file of laion_clap, likewise.
        image_model: where the image model is that the cache has, "local-dir:PATH"; None: as the cache names it.
        audio_model: likewise of the CLAP.
        overwrite: replace a set of that name.

    Raises:
        ExtractError: other weights than the cache was made with, or labels or prompts that cannot be used.
        CacheError: no such cache, or a name or labels that it cannot hold.

    Example:
        >>> add_label_set("features.zarr", "other.txt", "other").labels
        25
    """
    cache = FeatureCache.open(path, "r+")
    if cache.kind == "probabilities":
        raise ExtractError(
            f"{cache.path} holds probabilities of its own labels, to which none can be added: make another cache"
        )
    found = find_label_set(labels)
    encoders = with_models(cache.backbone, image_model, audio_model)
    backbone = load_backbone(encoders, checkpoint, clap_checkpoint=clap_checkpoint)
    added = add_found_set(cache, found, backbone, name, visual_prompts, audio_prompts, overwrite=overwrite)
    return AddedLabels(added.name, added.labels, added.new, (*licence_notes(backbone.name), *added.notes))


def add_found_set(
    cache: FeatureCache,
    found: LabelSet,
    backbone: Backbone,
    name: str | None = None,
    visual_prompts: Sequence[str] = (),
    audio_prompts: Sequence[str] = (),
    *,
    overwrite: bool = False,
) -> AddedLabels:
    """Add a label set to a cache whose encoders are loaded.

    Args:
        cache: open for writing.
        found: the set.
        backbone: the encoders.
        name: as of :func:`add_label_set`.
        visual_prompts: likewise.
        audio_prompts: likewise.
        overwrite: likewise.

    Raises:
        ExtractError: as :func:`add_label_set`.
        CacheError: a name or labels that it cannot hold.
    """
    check_weights(cache, backbone)
    prompts = visual_prompts or found.visual_prompts, audio_prompts or found.audio_prompts
    set_name = name or found.name
    new = add_labels(cache, set_name, found.labels, backbone, *prompts, overwrite=overwrite)
    return AddedLabels(set_name, len(found.labels), new, text_notes(backbone, cache.text(set_name)))


def check_weights(cache: FeatureCache, backbone: Backbone) -> None:
    """Refuse encoders that did not make a cache.

    Raises:
        ExtractError: their weights or rules are others.
    """
    differing = differences(cache.attributes, backbone.attributes(), only_new=True)
    if differing:
        raise ExtractError(
            f"{cache.path} was made with other weights ({'; '.join(differing)}): "
            "give the same `checkpoint` as for extraction"
        )


@dataclass(frozen=True)
class _Sentences:
    """For each prompt of a side the sentence of each label."""

    visual: list[list[str]]
    audio: list[list[str]]
    joint: bool = False

    @classmethod
    def of(
        cls,
        backbone: Backbone,
        labels: Sequence[str],
        visual_prompts: Sequence[str],
        audio_prompts: Sequence[str],
        *,
        joint: bool,
    ) -> "_Sentences":
        rules = backbone.text
        if joint and not isinstance(backbone, JointBackbone):
            raise ExtractError(f"backbone {backbone.name!r} embeds no sentences for picture and sound at once")
        words = [label.replace("_", " ").lower() if rules.plain_labels else label for label in labels]
        sides = []
        for side, prompts, unit in (
            ("visual", visual_prompts or (rules.visual_prompt,), rules.unit_visual),
            ("audio", audio_prompts or (rules.audio_prompt,), rules.unit_audio),
        ):
            for prompt in prompts:
                if _PLACE not in prompt:
                    raise ExtractError(f"{side} prompt {prompt!r} has no {_PLACE}: write it where the label goes")
            if len(prompts) > 1 and not unit:
                raise ExtractError(
                    f"{len(prompts)} {side} prompts: {backbone.name}'s {side} text vectors are no unit vectors, and an "
                    f"average would have another length than a label's own vector; give one `prompt_{side}`"
                )
            sides.append([[prompt.replace(_PLACE, word) for word in words] for prompt in prompts])
        return cls(sides[0], sides[1], joint)

    def shown(self) -> dict[str, list[str] | list[list[str]]]:
        """A sentence a label, or a list of them."""
        return {
            side: lines[0] if len(lines) == 1 else [list(group) for group in zip(*lines, strict=True)]
            for side, lines in (
                ("visual", self.visual),
                ("audio", self.audio),
                *([("joint", self.visual)] if self.joint else []),
            )
        }


def _encode(backbone: Backbone, sentences: _Sentences) -> TextEmbeddings:
    seen = _embed(backbone.encode_visual_text, sentences.visual)
    both = None
    if sentences.joint and isinstance(backbone, JointBackbone):
        both = _embed(backbone.encode_joint_text, sentences.visual)
    if backbone.text.one_space and sentences.visual == sentences.audio:
        return TextEmbeddings(seen, seen, sentences.shown(), one_table=True, joint=both)
    heard = _embed(backbone.encode_audio_text, sentences.audio)
    return TextEmbeddings(seen, heard, sentences.shown(), one_table=False, joint=both)


def _embed(encode: Callable[[Sequence[str]], Tensor], sentences: list[list[str]]) -> NDArray[np.float32]:
    """Each list of sentences embedded; several lists averaged as unit vectors. Memory does not grow with the labels."""
    parts = []
    for start in range(0, len(sentences[0]), SENTENCES_AT_ONCE):
        vectors = torch.stack([encode(lines[start : start + SENTENCES_AT_ONCE]) for lines in sentences])
        if len(vectors) > 1:
            directions = functional.normalize(vectors.double(), dim=-1)
            vectors = functional.normalize(directions.mean(0, keepdim=True), dim=-1)
        parts.append(np.asarray(vectors[0].float().cpu().numpy(), dtype=np.float32))
    return np.concatenate(parts)
