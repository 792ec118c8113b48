"""Extraction: our pipeline beside plain loops on made clips, where the time goes, decoding alone, memory, FLOP/s.

    python -m benchmarks.extract                              # `tiny`, some minutes
    python -m benchmarks.extract --memory                     # and 1,000 clips, for the memory
    python -m benchmarks.extract --backbone language_bind --checkpoint DIR --device cuda --precision bfloat16
    python -m benchmarks.extract --backbone clip_clap --random-weights --clips 4 --loop-clips 1
    python -m benchmarks.extract --backbone language_bind --random-weights --clips 1 --loop-clips 0 --size 320x240

In one run: `av2a extract`'s pipeline; a loop that opens the file anew for each of the 46 windows, as the official code
does; a kinder loop that decodes each clip once and keeps all frames. All three give the same embeddings. The loops may
use all cores inside an operation.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path

import av
import numpy as np
import torch

from benchmarks.extract_clips import SIZES, made_clips
from benchmarks.extract_loops import clip_at_once, file_by_window
from benchmarks.machine import cores, describe_machine, load, peak_memory
from extract import extract_videos, load_backbone
from extract.backbones.base import Backbone, FrameChooser, TwoStep, VideoBackbone
from extract.device import PRECISIONS, resolve_device
from extract.media.clip import Views, decode_clip
from extract.media.sampling import frame_plan
from extract.run.encode import ARRAYS, ClipEmbeddings, encode_clips, prepare_clip
from feature_cache import FeatureCache

WINDOWS = ARRAYS[:3]
"""What the loops make, too: no sound of segments."""
LOOPS: dict[str, Callable[[Backbone, Path], ClipEmbeddings]] = {
    "loop, file opened for each window": file_by_window,
    "loop, clip decoded once": clip_at_once,
}


def compare(options: argparse.Namespace, size: tuple[int, int]) -> None:
    """Ours and the loops, on clips of one size."""
    files = made_clips(size, options.clips)
    backbone = load_backbone(options.backbone, options.checkpoint, options.device, options.precision)
    print(f"\n{size[0]}x{size[1]}, {len(files)} clips, {options.backbone}, {options.device}, {options.precision}")
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            (Path(folder) / file.name).symlink_to(file)
        path = Path(folder) / "features.zarr"
        began = time.perf_counter()
        summary = extract_videos(
            folder, path, backbone=options.backbone, checkpoint=options.checkpoint, device=options.device,
            precision=options.precision, labels="demo", dtype="float32", batch_size=options.batch_size, overwrite=True,
            audio_segments=False,
        )  # fmt: skip
        ours = time.perf_counter() - began
        assert summary.done == len(files), summary.failed
        features = FeatureCache.open(path).read()
    total = sum(summary.stages.values())
    shares = ", ".join(f"{name} {seconds / total:.1%}" for name, seconds in sorted(summary.stages.items()))
    print(f"  av2a extract            {len(files) / ours:8.3g} clips/s   ({shares} of {total:.1f} s over all threads)")
    if options.device != "cpu":
        print(f"  encoders busy           {summary.stages['encode'] / summary.seconds:8.1%} of the run")
    torch.set_num_threads(cores())
    for name, loop in LOOPS.items() if options.loop_clips else ():
        few = files[: options.loop_clips]
        began = time.perf_counter()
        found = [loop(backbone, file) for file in few]
        rate = len(few) / (time.perf_counter() - began)
        difference = max(
            float(np.abs(getattr(features, part)[row] - getattr(clip, part)).max())
            for row, clip in enumerate(found)
            for part in ("image", "video", "audio")
        )
        factor = len(files) / ours / rate
        print(
            f"  {name:34s} {rate:8.3f} clips/s   ours is {factor:.1f} times that (largest difference {difference:.0e})"
        )


def decoding(size: tuple[int, int], count: int) -> None:
    """Decoding alone against reading and dropping every frame, one thread each.

    Ours also converts the frames that are chosen to RGB, which the dropped ones are spared: both are shown.
    """
    files = made_clips(size, count)
    decode_all(files[0])
    with av.open(str(files[0])) as container:
        chosen = {*frame_plan(sum(1 for packet in container.demux(video=0) if packet.size)).frames.tolist()}

    def nothing(frames: torch.Tensor) -> torch.Tensor:
        return frames[:, :, :1, :1]

    def ours() -> None:
        for file in files:
            decode_clip(file, views=Views(nothing), sample_rate=44_100)

    def plain() -> None:
        for file in files:
            decode_all(file)

    def converting() -> None:
        for file in files:
            decode_all(file, chosen)

    torch.set_num_threads(1)
    rounds = [(seconds(plain), seconds(converting), seconds(ours)) for _ in range(7)]
    read, converted, used = (min(column) for column in zip(*rounds, strict=True))
    print(
        f"  {size[0]}x{size[1]}: PyAV, every frame read and dropped {count / read:.2f} clips/s; "
        f"the {len(chosen)} chosen ones converted {count / converted:.2f}; ours {count / used:.2f}, "
        f"{read / used:.0%} and {converted / used:.0%}"
    )


def decode_all(file: Path, chosen: Collection[int] = ()) -> None:
    with av.open(str(file)) as container:
        for stream in container.streams:
            if stream.codec_context is not None:
                stream.codec_context.thread_count = 1
        number = 0
        for packet in container.demux():
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    if number in chosen:
                        frame.to_ndarray(format="rgb24")
                    number += 1


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def arithmetic(options: argparse.Namespace) -> None:
    """FLOP a clip, and the rate reached in encoding, beside that of large matrix products."""
    from torch.utils.flop_counter import FlopCounterMode

    device = resolve_device(options.device)
    backbone = load_backbone(options.backbone, options.checkpoint, options.device, options.precision)
    video = backbone.prepare_video_frames if isinstance(backbone, VideoBackbone) else None
    if isinstance(backbone, TwoStep):
        video = None
    file = made_clips(SIZES[0], 1)[0]
    media = decode_clip(
        file, views=Views(backbone.prepare_frames, video), sample_rate=backbone.sample_rate,
        frames_per_window=backbone.frames_per_window,
        window_frames=backbone.window_frames if isinstance(backbone, FrameChooser) else None,
    )  # fmt: skip
    clips = [prepare_clip(backbone, media, arrays=WINDOWS)] * (4 if device.type == "cuda" else 1)
    batch = options.batch_size or (64 if device.type == "cuda" else 16)
    counter = FlopCounterMode(display=False)
    with counter:
        first = seconds(lambda: encode_clips(backbone, clips, device, batch, WINDOWS))
    flop = counter.get_total_flops() / len(clips)
    # where a round takes minutes, the counted one will do
    rounds = [first]
    if first <= 60:
        rounds = [seconds(lambda: encode_clips(backbone, clips, device, batch, WINDOWS)) for _ in "123"]
    spent = min(rounds) / len(clips)
    peak = matrix_rate(device, options.precision)
    print(
        f"  {flop / 1e9:,.1f} GFLOP a clip, encoded in {spent:.3f} s: {flop / spent / 1e12:.3f} TFLOP/s, "
        f"{flop / spent / peak:.0%} of the {peak / 1e12:.3f} TFLOP/s of large matrix products here"
    )


def matrix_rate(device: torch.device, precision: str) -> float:
    """FLOP/s of a large matrix product."""
    side = 8192 if device.type == "cuda" else 1536
    a, b = (torch.randn(side, side, device=device, dtype=PRECISIONS[precision]) for _ in range(2))

    def product() -> None:
        for _ in range(10):
            torch.mm(a, b)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    product()
    return 10 * 2 * side**3 / min(seconds(product) for _ in range(3))


def memory(backbone: str, counts: tuple[int, ...] = (100, 1000)) -> None:
    """The most memory that extracting many small clips takes, each number of them in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        sources = made_clips((160, 120), 4)
        found = {}
        for count in counts:
            videos = Path(folder) / f"{count}"
            videos.mkdir()
            for number in range(count):
                (videos / f"{number:04d}.mp4").symlink_to(sources[number % len(sources)])
            words = ["-m", "av2a_cli", "extract", str(videos), "-o", f"{videos}.zarr", "--backbone", backbone]
            with subprocess.Popen(
                [sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as run:
                most = 0
                while run.poll() is None:
                    most = max(most, peak_memory(run.pid))
                    time.sleep(0.05)
            assert run.returncode == 0
            found[count] = most / 2**30
            print(f"  {count} clips: at most {found[count]:.3f} GiB")
        print(f"  {counts[-1]} clips take {found[counts[-1]] / found[counts[0]] - 1:+.1%} against {counts[0]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="tiny")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--random-weights", action="store_true", help="of the true size, of random_weights.MAKERS")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32", choices=sorted(PRECISIONS))
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--loop-clips", type=int, default=2, help="clips that the loops are given")
    parser.add_argument("--size", choices=[f"{width}x{height}" for width, height in SIZES], help="one of them alone")
    parser.add_argument("--memory", action="store_true", help="also extract 100 and 1,000 clips")
    options = parser.parse_args()
    print(describe_machine(), f"- load before: {load()}")
    with tempfile.TemporaryDirectory() as folder:
        if options.random_weights:
            from benchmarks.random_weights import MAKERS

            options.checkpoint = MAKERS[options.backbone](Path(folder))
        sizes = [size for size in SIZES if options.size in (None, f"{size[0]}x{size[1]}")]
        for size in sizes:
            compare(options, size)
        print("\ndecoding alone, one thread")
        for size in sizes:
            decoding(size, min(4, options.clips))
        print("\narithmetic")
        arithmetic(options)
    if options.memory:
        print(f"\nmemory, {options.backbone}")
        memory(options.backbone)


if __name__ == "__main__":
    main()
