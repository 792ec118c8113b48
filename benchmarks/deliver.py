"""How fast inputs reach the encoders: extraction with encoders that cost nothing, beside decoding alone.

    python -m benchmarks.deliver                    # inputs of CLIP and CLAP, LanguageBind and PE-AV, two sizes
    python -m benchmarks.deliver --inputs clip_clap --size 320x240 --profile

As on a GPU: threads decode and prepare what the backbone's encoders take, one hand gets it, and rows are written. The
encoders give zeros. Beside it, on the same cores: the same decoding with nothing prepared of it, and PyAV that reads
every frame and drops it.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.extract import decode_all
from benchmarks.extract_clips import SIZES, made_clips
from benchmarks.machine import cores, describe_machine, load
from extract.backbones.base import Backbone, Encoded, TextRules, TwoStep, VideoBackbone
from extract.backbones.clip_clap.log_mel import LogMel, MelConfig
from extract.backbones.language_bind.frames import prepare_images, prepare_video_frames
from extract.backbones.language_bind.spectrograms import window_inputs
from extract.backbones.pixels import fit_frames
from extract.media.audio_windows import SoundWindows
from extract.media.clip import Views, decode_clip
from extract.run.engines.threads import fill
from extract.run.worker import Clips, Job
from feature_cache import DONE, FeatureCache


class Free:
    """Encoders that cost nothing; the base of stubs that prepare inputs as a backbone does."""

    text = TextRules()
    default_labels = "demo"
    frames_per_window = 8
    sample_rate: int | None = 48_000

    def __init__(self, name: str, visual_dim: int, audio_dim: int) -> None:
        self.name, self.visual_dim, self.audio_dim = name, visual_dim, audio_dim

    def encode_frames(self, frames: Tensor) -> Tensor:
        return torch.zeros(len(frames), self.visual_dim)

    def encode_audio(self, sounds: Tensor) -> Tensor:
        return torch.zeros(len(sounds), self.audio_dim)

    def encode_visual_text(self, sentences: Sequence[str]) -> Tensor:
        return torch.zeros(len(sentences), self.visual_dim)

    def encode_audio_text(self, sentences: Sequence[str]) -> Tensor:
        return torch.zeros(len(sentences), self.audio_dim)

    def attributes(self) -> dict[str, Any]:
        return {}


class ClipClapInputs(Free):
    """CLIP ViT-B/32's pictures, CLAP's sound."""

    def __init__(self) -> None:
        super().__init__("clip_clap", 512, 512)
        self._mel = LogMel(MelConfig())

    def prepare_frames(self, frames: Tensor) -> Tensor:
        return fit_frames(frames, 224)

    def prepare_audio(self, waves: Sequence[Tensor], random: np.random.RandomState | None = None) -> Tensor:
        assert isinstance(waves, SoundWindows)
        return self._mel.of_windows(waves)


class LanguageBindInputs(Free):
    """LanguageBind's pictures, windows and sound."""

    random_flips = True
    sample_rate = None

    def __init__(self) -> None:
        super().__init__("language_bind", 768, 768)

    def prepare_frames(self, frames: Tensor) -> Tensor:
        return prepare_images(frames, 224)

    def prepare_video_frames(self, frames: Tensor) -> Tensor:
        return prepare_video_frames(frames, 224)

    def prepare_audio(self, waves: Sequence[Tensor], random: np.random.RandomState | None = None) -> Tensor:
        assert isinstance(waves, SoundWindows)
        assert waves.rate is not None
        wave = waves.wave if waves.wave.ndim == 2 else waves.wave[None]
        return window_inputs(
            wave, waves.rate, waves.stretches, bins=112, target=1036, mean=-4.2677393, std=4.5689974, random=random
        )

    def encode_video(self, windows: Tensor) -> Tensor:
        return torch.zeros(len(windows), self.visual_dim)


class PeAvInputs(Free):
    """PE-AV's pictures; of its sound nothing is prepared."""

    random_flips = False

    def __init__(self) -> None:
        super().__init__("pe_av", 1024, 1024)

    def prepare_frames(self, frames: Tensor) -> Tensor:
        return functional.interpolate(frames, (336, 336), mode="bilinear", antialias=True)

    prepare_video_frames = prepare_frames

    def prepare_audio(self, waves: Sequence[Tensor], random: np.random.RandomState | None = None) -> Tensor:
        return torch.zeros(len(waves), 1)

    def encode_video(self, windows: Tensor) -> Tensor:
        return torch.zeros(len(windows), self.visual_dim)

    def embed_frames(self, frames: Tensor) -> Tensor:
        return torch.zeros(len(frames), 1)

    def embed_sounds(self, waves: SoundWindows) -> list[Tensor]:
        return [torch.zeros(1, 1)] * len(waves)

    def encode_frame_windows(self, windows: Tensor) -> Encoded:
        return Encoded(torch.zeros(len(windows), self.visual_dim), windows)

    def encode_sound_windows(self, sounds: Tensor) -> Encoded:
        return Encoded(torch.zeros(len(sounds), self.audio_dim), sounds)


INPUTS: dict[str, Callable[[], Backbone]] = {
    "clip_clap": ClipClapInputs,
    "language_bind": LanguageBindInputs,
    "pe_av": PeAvInputs,
}


def delivered(backbone: Backbone, files: Sequence[Path], folder: Path, workers: int) -> tuple[float, dict[str, float]]:
    """Seconds that the pipeline takes, and by stage over all threads."""
    videos = {file.stem: file for file in files}
    cache = FeatureCache.create(
        folder / "features.zarr", clip_ids=list(videos), backbone=backbone.name, visual_dim=backbone.visual_dim,
        audio_dim=backbone.audio_dim, frames_per_window=1 if hasattr(backbone, "encode_video") else 8,
        audio_per_segment=True, overwrite=True,
    )  # fmt: skip
    job = Job(backbone, torch.device("cpu"), Clips(videos, batch_size=64), fed=True)
    todo = {shard: list(cache.shard_rows(shard)) for shard in range(cache.n_shards)}
    with cache.writing("benchmark"):
        began = time.perf_counter()
        fill(cache, job, todo, workers, lambda done, total: None)
        spent = time.perf_counter() - began
    assert (cache.status() == DONE).all(), cache.reasons()
    return spent, job.watch.seconds()


def side_by_side(work: Callable[[Path], object], files: Sequence[Path], workers: int) -> float:
    """Seconds that threads take for all files."""
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        began = time.perf_counter()
        list(pool.map(work, files))
        return time.perf_counter() - began


def compare(name: str, size: tuple[int, int], count: int, rounds: int) -> None:
    """Ours and decoding alone, in turn; the best of each."""
    files, workers, backbone = made_clips(size, count), cores(), INPUTS[name]()

    def nothing(frames: Tensor) -> Tensor:
        return frames[:, :, :1, :1]

    def decoded(file: Path) -> None:
        decode_clip(file, views=Views(nothing), sample_rate=backbone.sample_rate)

    times: list[tuple[float, float, float]] = []
    stages: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            ours, stages = delivered(backbone, files, Path(folder), workers)
            alone = side_by_side(decoded, files, workers)
            times.append((ours, alone, side_by_side(decode_all, files, workers)))
    ours, alone, dropped = (min(column) for column in zip(*times, strict=True))
    total = sum(stages.values())
    shares = ", ".join(f"{stage} {seconds / count * 1000:.0f}" for stage, seconds in stages.items())
    print(
        f"  {name:14s} {size[0]}x{size[1]}: inputs of {count / ours:6.2f} clips/s; "
        f"decoding alone {count / alone:6.2f}: {alone / ours:.0%}; "
        f"PyAV, every frame dropped {count / dropped:6.2f}: {dropped / ours:.0%}\n"
        f"      milliseconds a clip of all threads: {shares} ({total / count * 1000:.0f} in all)"
    )


def profile(name: str, size: tuple[int, int], count: int) -> None:
    """What one thread computes for a clip, part by part."""
    backbone, best = INPUTS[name](), dict[str, float]()
    torch.set_num_threads(1)
    for file in made_clips(size, count) * 3:
        spent = dict.fromkeys(("pictures", "windows' pictures"), 0.0)

        def timed(part: str, view: Callable[[Tensor], Tensor], spent: dict[str, float] = spent) -> Any:
            def viewed(frames: Tensor) -> Tensor:
                began = time.thread_time()
                found = view(frames)
                spent[part] += time.thread_time() - began
                return found

            return viewed

        began = time.thread_time()
        moving = None
        if isinstance(backbone, VideoBackbone) and not isinstance(backbone, TwoStep):  # whose windows take images
            moving = timed("windows' pictures", backbone.prepare_video_frames)
        views = Views(timed("pictures", backbone.prepare_frames), moving)
        media = decode_clip(file, views=views, sample_rate=backbone.sample_rate)
        spent["decoding"] = time.thread_time() - began - sum(spent.values())
        for part, sounds in (("windows' sound", media.windows), ("segments' sound", media.segments)):
            assert sounds is not None
            began = time.thread_time()
            backbone.prepare_audio(sounds)
            spent[part] = time.thread_time() - began
        best = {part: min(best.get(part, np.inf), seconds) for part, seconds in spent.items()}
    parts = ", ".join(f"{part} {1000 * seconds:.0f}" for part, seconds in best.items() if seconds)
    print(f"      milliseconds of one core a clip, the best of each: {parts}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", choices=sorted(INPUTS), help="of one backbone alone")
    parser.add_argument("--size", choices=[f"{width}x{height}" for width, height in SIZES], help="one of them alone")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="what one core takes for each part")
    options = parser.parse_args()
    print(describe_machine(), f"- load before: {load()}")
    for name in INPUTS if options.inputs is None else [options.inputs]:
        for size in SIZES:
            if options.size in (None, f"{size[0]}x{size[1]}"):
                compare(name, size, options.clips, options.rounds)
                if options.profile:
                    profile(name, size, min(4, options.clips))


if __name__ == "__main__":
    main()
