"""What the rule compares, segment by segment: probabilities and dynamic thresholds (docs/design.md 4.3, 4.4)."""

from score.choices import AUDIO, AUDIOVISUAL, VISUAL
from score.kernels.from_logits import ClipWorkspace, Setting, selection_probabilities
from score.kernels.jit import lean
from score.kernels.label_subsets import Clip, enough, reset
from score.kernels.streams import choose_subset, fallback_stream, find_positives, make_audiovisual
from score.kernels.types import F64, I64, U8, U64


@lean
def trace_clips(
    image: F64,
    video: F64,
    audio: F64,
    sound: F64,
    given: bool,
    cosine: F64,
    missing: U8,
    setting: Setting,
    places: I64,
    workspace: ClipWorkspace,
    trace: F64,
    probability: F64,
    threshold: F64,
    positive: U64,
) -> None:
    """Probability, threshold and positive segments of every label that a stream keeps, of n clips.

    What a stream does not keep, and streams that a clip does not have or that late fusion makes, are left as they are.

    Args:
        image: float64 (n, T, C) logits.
        video: float64 (n, W, F, C) logits; W = 1, or 0 where there is no window 0.
        audio: float64 (n, W, C) logits, likewise.
        sound: float64 (n, R, C) logits of the segments' sound; R = 1 where one row stands for all.
        given: whether image and sound are probabilities and no logits.
        cosine: float64 (n, T - 1).
        missing: uint8 (n,), 0, NO_PICTURE or NO_SOUND.
        setting: Setting.
        places: int64 (3,), where the streams visual, audio and audiovisual are written.
        workspace: ClipWorkspace, overwritten.
        trace: float64 (T, C), workspace.
        probability: float64 (n, 3, T, C), written.
        threshold: float64 (n, 3, T, C), written.
        positive: uint64 (n, 3, C), written: bit s is segment s.
    """
    subsets, work = workspace.subsets, workspace.stream
    for i in range(image.shape[0]):
        selection_probabilities(
            image[i], video[i], audio[i], sound[i], given, workspace.all_labels, workspace.spare,
            workspace.whole_visual, workspace.whole_audio,
        )  # fmt: skip
        clip = Clip(
            image=image[i],
            video=video[i],
            audio=audio[i],
            sound=sound[i],
            given=given,
            cosine=cosine[i],
            whole_visual=workspace.whole_visual,
            whole_audio=workspace.whole_audio,
            missing=missing[i],
        )
        reset(subsets)
        for stream in (VISUAL, AUDIO, AUDIOVISUAL):
            if stream == AUDIOVISUAL and setting.late:
                break
            parsed = fallback_stream(missing[i], stream)
            if parsed < 0:
                continue
            subset = choose_subset(
                subsets, clip, parsed, setting.alpha, setting.filter_threshold, setting.label_selection, work
            )
            if not enough(subsets, subset, clip):
                continue
            if parsed == AUDIOVISUAL:
                make_audiovisual(subsets, subset, clip, setting.alpha, work)
            find_positives(
                subsets, subset, clip, parsed, setting.method, setting.threshold_stage1, setting.decay, setting.passes,
                work, trace,
            )  # fmt: skip
            step = 1 if parsed != AUDIO or subsets.audio.shape[1] > 1 else 0
            if parsed == VISUAL:
                p = subsets.visual[subset]
            elif parsed == AUDIO:
                p = subsets.audio[subset]
            else:
                p = work.audiovisual
            for j in range(subsets.size[subset]):
                label = subsets.kept[subset, j]
                positive[i, places[stream], label] = work.bitmasks[j]
                for t in range(image.shape[1]):
                    probability[i, places[stream], t, label] = p[step * t, j]
                    threshold[i, places[stream], t, label] = trace[t, j]
