"""The `av2a` command: parse, call, print. Every heavy import happens inside a command."""

import os
import sys

if __name__ == "__main__" and sys.path[0] not in ("", os.path.dirname(__file__)):  # noqa: PTH120
    del sys.path[0]  # the working folder, with `python -m`: a score.py there is the user's own
if __name__ == "__main__" or (getattr(sys.modules["__main__"], "__file__", None) or "").endswith(f"{os.sep}av2a"):
    try:  # before all that takes a moment: from here on a signal ends the command in one line
        from feature_cache import stopping

        stopping.catch(lambda: f"{stopping.how()}: nothing was begun")
    except ImportError:  # explained below
        pass

import ast
import codecs
import functools
import inspect
import io
import json
import re
import shlex
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

_OUR_PACKAGES = {"extract", "feature_cache", "score"}
_EXTRACT_MODULES = {"av", "open_clip", "soxr", "torch", "torchvision", "transformers"}


def _why_not_imported(error: ImportError) -> str | None:
    """What a person can do about it; None where it is our own fault."""
    name = (error.name or "").split(".")[0]
    if name in _OUR_PACKAGES:
        found = str(getattr(sys.modules.get(name), "__file__", None) or error.path)
        if not found.startswith(str(Path(__file__).parent / name)):
            return f"{found} stands before av2a's own package {name}: rename it, or take its folder off PYTHONPATH"
    if isinstance(error, ModuleNotFoundError) and name in _EXTRACT_MODULES:
        return f"this command needs {error.name}: install it with pip install 'av2a[extract]'"
    return None


try:
    from feature_cache import stopping
    from feature_cache.errors import Av2aError
    from feature_cache.names import escaped, shortened
    from score.choices import SOUNDS, STREAMS
    from score.parameters import describe
    from score.rule_parameters import PARAMETERS
except ImportError as error:
    if (said := _why_not_imported(error)) is None:
        raise
    sys.exit(f"Error: {said if said.isprintable() else ascii(said)}")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from extract import ExtractOptions
    from extract.forecast import Forecast, Probe
    from feature_cache import FeatureCache
    from score import Annotations, EventBlocks, Report, RulesCompared
    from score.event_facts import EventFacts
    from score.formats.base import EventBlock
    from score.parameters import Parameter
    from score.reproduction import Experiment, Reproduction
    from score.tuning.result import Tried

EXIT_SOME_FAILED = 3
EXIT_NOT_READ = 141
MOST_OF_AN_ERROR = 300
"""Characters of an error's line."""


class _Commands(click.Group):
    """Commands in the order in which they are used, errors in one line, on any standard streams."""

    def main(self, *args: Any, standalone_mode: bool = True, **options: Any) -> Any:
        run: Callable[[], Any] = functools.partial(super().main, *args, standalone_mode=False, **options)
        if not standalone_mode:
            return run()
        stopping.catch(_Stopped(options.get("args") or (args[0] if args else None) or sys.argv[1:]))
        code: Any = 1
        try:
            with stopping.within():
                code = self._code(run, _open_streams())
        except BaseException:  # whatever a library makes of being interrupted
            if not stopping.came():
                raise
        if stopping.came():
            stopping.end()
        sys.exit(code)

    def _code(self, run: Callable[[], Any], outputs: "list[_Output]") -> Any:
        """Exit code of a run; its error is said."""
        code: Any = 1
        try:
            code = run()
        except BaseException as error:
            if stopping.came():
                raise
            if isinstance(error, click.ClickException):
                _show(error)
                code = error.exit_code
            elif isinstance(error, click.Abort):
                click.echo("Aborted!", err=True)
            elif isinstance(error, OSError):  # of what is printed before a command begins
                click.echo(error_line(f"Error: {_os_error(error)}"), err=True)
            elif isinstance(error, SystemExit):
                code = error.code
            else:
                raise
        return code or (EXIT_NOT_READ if any(output.not_read for output in outputs) else 0)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except ImportError as error:
            said = _why_not_imported(error)
            if said is None:
                raise
            raise click.ClickException(said) from error
        except OSError as error:
            raise click.ClickException(_os_error(error)) from error
        except Av2aError as error:
            message = shortened(str(error), 10 * MOST_OF_AN_ERROR)
            raise click.ClickException(in_options(message, ctx.invoked_subcommand)) from error
        except MemoryError as error:
            raise click.ClickException("there is not enough memory for it: close other programs") from error


class _Stopped:
    """The line of a command that a signal ends: what is kept, and how to go on."""

    def __init__(self, words: Sequence[str]) -> None:
        self._command = next((word for word in words if not word.startswith("-")), "")
        self._overwrite = "--overwrite" in words

    def __call__(self) -> str:
        how, kept = stopping.how(), _KEPT.get(self._command)
        if kept is None or (self._overwrite and not stopping.has_begun()):
            return f"{how}: files are there whole or as they were; the same command begins again"
        return f"{how}: {kept}; the same command{' without --overwrite' * self._overwrite} goes on from here"


_KEPT = {
    "demo": "the clips that are made are kept",
    "extract": "whole shards are kept",
    "reproduce": "whole shards are kept",
    "search": "whole batches are kept",
    "tune": "what was saved is kept",
}
"""Of commands that go on where they ended."""


def _os_error(error: OSError) -> str:
    return (f"{error.filename}: " if error.filename else "") + (error.strerror or str(error))


def _show(error: click.ClickException) -> None:
    """Say on standard error what was wrong, under the usage where Click gives it."""
    if type(error).show not in (click.ClickException.show, click.UsageError.show):
        error.show(sys.stderr)  # the help, where no command was given
        return
    line = error_line(f"Error: {error.format_message()}").removeprefix("Error: ")
    context = error.ctx if isinstance(error, click.UsageError) else None
    (click.UsageError(line, context) if context else click.ClickException(line)).show(sys.stderr)


def error_line(text: str) -> str:
    r"""What is printed of an error: one line of MOST_OF_AN_ERROR at most, without anything that acts on a terminal.

    Its middle is what is left out: it begins with what is wrong, and ends in the mend.

    Example:
        >>> error_line("Error: a\x1b.zarr is not there")
        'Error: a\\x1b.zarr is not there'
    """
    words = shortened(text, 10 * MOST_OF_AN_ERROR).replace("\n\t", " ").strip("\n")  # Click lists choices so
    encoding = getattr(getattr(sys.stderr, "plain", sys.stderr), "encoding", None) or "utf-8"
    line = escaped(words).encode(encoding, "backslashreplace").decode(encoding)
    if len(line) <= MOST_OF_AN_ERROR:
        return line
    cut = shortened(line, MOST_OF_AN_ERROR - 2)
    return cut if encoding.lower().startswith("utf") else cut.replace("…", "...")


class _Output(io.FileIO):
    """Standard output or error. Where nobody reads it any more, the command still finishes what it writes elsewhere."""

    def __init__(self, number: int, name: str) -> None:
        super().__init__(number, "w", closefd=False)
        self._name = name
        self._lost = self.not_read = False

    def write(self, data: Any) -> int:
        if self._lost:
            return len(data)
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            self._lost = self.not_read = True
            return len(data)
        except OSError as error:
            self._lost = True
            raise OSError(error.errno, error.strerror, self._name) from error


class _Text(io.TextIOWrapper):
    """Text on an output. Names and labels come from anywhere: what would act on a terminal is escaped.

    Attributes:
        plain: the same without that, for colours and bars.
    """

    def __init__(self, output: io.BufferedWriter, encoding: str, line_buffering: bool) -> None:
        super().__init__(output, encoding, "backslashreplace", line_buffering=line_buffering)
        self.plain = io.TextIOWrapper(output, encoding, "backslashreplace", line_buffering=line_buffering)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Click writes UTF-8 where it reads "ascii"."""
        return _ESCAPED_ASCII if codecs.lookup(self.plain.encoding).name == "ascii" else self.plain.encoding

    def write(self, text: str) -> int:
        return super().write(text if text.replace("\n", "").isprintable() else _shown(text))


_ESCAPED_ASCII = "escaped_ascii"
codecs.register(
    lambda name: (
        codecs.CodecInfo(codecs.ascii_encode, codecs.ascii_decode, name=name) if name == _ESCAPED_ASCII else None
    )
)


def _open_streams() -> list[_Output]:
    """Make standard output and error such that everything can be printed, whatever they are."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file that is opened would get its number, and what is printed
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    outputs = []
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8", errors="replace"))  # noqa: SIM115
            continue
        buffer = getattr(stream, "buffer", None)
        if type(getattr(buffer, "raw", buffer)) is io.FileIO and stream.fileno() == number:
            outputs.append(_Output(number, f"standard {'output' if number == 1 else 'error'}"))
            setattr(sys, name, _Text(io.BufferedWriter(outputs[-1]), stream.encoding, stream.line_buffering))
    return outputs


def examples(*lines: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Examples under a command's options, kept as written."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        command.__doc__ = (
            inspect.cleandoc(command.__doc__ or "") + "\n\n\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
        )
        return command

    return add


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="av2a")
def main() -> None:
    """Find which events are seen, heard or both in videos, and when, for any labels.

    Two stages: `av2a extract` looks at the videos once and stores embeddings; `av2a score` turns them
    into events in seconds, as often as you like, on a CPU.

    \b
    First try, without videos of your own:
      av2a demo && av2a extract && av2a score --alpha 0.5
      av2a evaluate events.json --annotations annotations --dataset llp --split test
    """


# --- stage 1 --------------------------------------------------------------------------------------------


def checkpoint_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which models a backbone is made of, and where its weights are."""
    command = click.option(
        "--audio-model",
        metavar="OWNER/NAME",
        help="clip_clap: another CLAP of the model hub for the sound, or local-dir:PATH.",
    )(command)
    command = click.option(
        "--image-model",
        metavar="NAME:TAG",
        help="clip_clap: another image model for the pictures (`av2a backbones --image-models`), or local-dir:PATH.",
    )(command)
    command = click.option(
        "--clap-checkpoint",
        type=click.Path(path_type=Path),
        metavar="FILE.pt",
        help="A checkpoint of the laion_clap package for the sound (clip_clap, clip_laion_clap).",
    )(command)
    return click.option(
        "--checkpoint",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Local weights: a folder with a part for each model. Without it they come from the model hub.",
    )(command)


def _batch_size(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    if value == "auto":
        return None
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{value!r} is neither auto nor a number from 1 on", ctx, param)
    return int(value)


batch_size_option = click.option(
    "--batch-size",
    default="auto",
    show_default=True,
    metavar="auto|N",
    callback=_batch_size,
    help="Frames or windows a pass. auto: 16 on a CPU, 64 on a GPU, and halved where memory is full.",
)


@main.command(short_help="Make videos whose events are known.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default=True,
    help="Folder that gets videos/ and annotations/.",
)
@click.option("--clips", type=click.IntRange(1, 999), default=48, show_default=True, help="Clips per split.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Other clips per seed.")
@click.option("--overwrite", is_flag=True, help="Make an earlier demo's clips again.")
@examples("av2a demo", "av2a demo -o /tmp/try --clips 8")
def demo(output: Path, clips: int, seed: int, overwrite: bool) -> None:
    """Make videos with sound whose events are known: a validation and a test split.

    The same command after an interruption goes on where it stopped.
    """
    from extract.demo import make_demo

    with _progress("making clips") as progress:
        made = make_demo(output, clips_per_split=clips, seed=seed, progress=progress, overwrite=overwrite)
    click.echo(f"{2 * clips} clips in {made.videos}, their annotations in {made.annotations}")


@main.command(short_help="Embed every window of videos, once.")
@click.argument("videos", type=click.Path(path_type=Path), default=Path("videos"))
@click.option(
    "-o",
    "--output",
    default="features.zarr",
    show_default=True,
    metavar="PATH",
    help="Feature cache to make or go on with.",
)
@click.option(
    "--recursive/--no-recursive",
    default=True,
    show_default=True,
    help="Take files of folders below, too.",
)
@click.option(
    "--backbone",
    metavar="NAME",
    help="Encoders (`av2a backbones`).  [default: those of the cache that is there; else `clip_clap`, or, for what "
    "`av2a demo` made, `tiny`, which knows nothing else]",
)
@checkpoint_options
@click.option(
    "--labels",
    metavar="SET|FILE",
    help="llp, ave, ov-avebench, demo, or a text file with one label a line.  "
    "[default: labels.txt beside the videos, else the backbone's own set]",
)
@click.option("--text-name", metavar="NAME", help="Name of the label set in the cache.  [default: the set's]")
@click.option(
    "--audio-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Take the sound from WAV files of the same names (or paths) in this folder.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda[:i]",
    help="Where to encode; several, as cuda:0,cuda:1, work side by side.",
)
@click.option(
    "--official-randomness",
    type=click.IntRange(0),
    metavar="SEED",
    help="Flip windows and cut long sound at random, as the official code does; to study its effect.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "float16", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Arithmetic of the encoders.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32"]),
    help="How embeddings are stored.  [default: float16, a detector's probabilities float32]",
)
@click.option("--workers", type=click.IntRange(1), help="Clips decoded at once.  [default: the cores]")
@batch_size_option
@click.option("--shard-size", type=click.IntRange(1), default=32, show_default=True, help="Clips a shard of the cache.")
@click.option("--clip-seconds", type=float, default=10.0, show_default=True, help="Length of a clip of 10 segments.")
@click.option("--stride", type=float, help="Longer files: seconds from clip to clip.  [default: a clip's length]")
@click.option(
    "--tail",
    type=click.Choice(["pad", "drop"]),
    default="pad",
    show_default=True,
    help="Files, and ends of longer files, that are shorter than a clip.",
)
@click.option(
    "--windows",
    type=click.Choice(["all", "whole"]),
    default="all",
    show_default=True,
    help="whole: a cheap first look, without the windows that refinement needs.",
)
@click.option(
    "--clip-timeout",
    type=click.FloatRange(1),
    help="Seconds that decoding a clip may take.  [default: 120 + 20 a second]",
)
@click.option(
    "--pooling",
    type=click.Choice(["mean", "max"]),
    help="How the frames of a segment become one probability (pe_a_frame).  [default: mean]",
)
@click.option("--retry-failed", is_flag=True, help="Try clips again that failed before.")
@click.option("--prune", is_flag=True, help="Remove clips from the cache whose files are gone.")
@click.option(
    "--shard-range",
    metavar="i/n",
    help="Compute every n-th shard only: n processes, on any machines, fill one cache.",
)
@click.option(
    "--audio-segments/--no-audio-segments",
    default=None,
    help="Store the sound of each segment, too.  [default: as the cache that is there; in a new one yes]",
)
@click.option(
    "--joint/--no-joint",
    default=None,
    help="Store what the model says of picture and sound at once, too (`pe_av`).  "
    "[default: as the cache that is there; in a new one no]",
)
@click.option(
    "--add",
    type=click.Choice(["audio-segments"]),
    help="Give a cache that is there what it lacks: nothing else is decoded or encoded again.",
)
@click.option("--overwrite", is_flag=True, help="Replace a cache that is there.")
@click.option(
    "--dry-run", is_flag=True, help="Say how many clips, how large and, by a short probe, how long; write nothing."
)
@examples(
    "av2a extract",
    "av2a extract my_videos --dry-run",
    "av2a extract my_videos -o my.zarr --labels my_labels.txt",
    "av2a extract clips --backbone language_bind --labels llp --device cuda --precision bfloat16",
    "av2a extract clips --backbone pe_av --joint   # then score, or search, with --audiovisual joint",
    "av2a extract clips --image-model ViT-SO400M-16-SigLIP2-384:webli --audio-model laion/larger_clap_general",
    "av2a extract clips -o llp.zarr --add audio-segments   # with the other options as they were",
    "av2a extract clips -o s3://bucket/llp.zarr --shard-range 0/4   # and 1/4, 2/4, 3/4 elsewhere",
)
def extract(videos: Path, output: str, overwrite: bool, dry_run: bool, **options: Any) -> None:
    """Embed every window of the videos in a folder and those below it, once.

    The same command after an interruption goes on where it stopped, and adds files that are new. Exit code
    3: some clips failed; each one's reason is kept (`av2a info --failed`).
    """
    from extract import extract_videos

    if dry_run:
        _say_forecast(videos, output, overwrite=overwrite, **options)
        return
    with _progress("extracting") as progress:
        summary = extract_videos(
            videos, output, overwrite=overwrite, progress=progress,
            notice=lambda line: _say(in_options(line, "extract")), **options,
        )  # fmt: skip
    if summary.nothing:
        click.echo(in_options(summary.nothing, "extract"))
        return
    for note in summary.notes:
        click.echo(in_options(f"note: {note}", "extract"), err=True)
    for clip, reason in summary.failed.items():
        click.echo(error_line(f"failed: {clip}: {in_options(reason, 'extract')}"), err=True)
    click.echo(
        f"{output}: {summary.done} clips done, {len(summary.failed)} failed, {summary.seconds:.1f} s"
        + (f" ({summary.skipped} of them were there before)" if summary.skipped else "")
    )
    if summary.failed:
        sys.exit(EXIT_SOME_FAILED)


def _say_forecast(videos: Path, output: str, **options: Any) -> None:
    from extract.forecast import forecast

    with _progress("probing") as progress:
        found = forecast(videos, output, progress=progress, **options)
    for note in found.notes:
        click.echo(in_options(f"note: {note}", "extract"), err=True)
    for clip, reason in found.refused.items():
        click.echo(error_line(f"would fail: {clip}: {in_options(reason, 'extract')}"), err=True)
    there = f"; {found.there:,} are in {output} already" if found.there else ""
    shards = f" in {_counted(found.shards, 'shard')}" if found.todo else ""
    click.echo(f"{_counted(found.todo, 'clip')} of {_counted(found.files, 'file')} to extract{shards}{there}")
    if found.probe is not None:
        _say_probe(output, found, found.probe)
    click.echo("nothing was written: leave out --dry-run to begin")
    if found.refused:
        sys.exit(EXIT_SOME_FAILED)


def _say_probe(output: str, found: "Forecast", probe: "Probe") -> None:
    """What was measured, as far as something was."""
    from extract.run.stopwatch import STAGES

    free = "" if found.free_bytes is None else f"; {_size_words(found.free_bytes)} are free there"
    more = f", {_size_words(found.more_bytes)} more than now" if found.there else ""
    size = f"{_size_words(found.cache_bytes)}{more} ({_size_words(probe.clip_bytes)} a clip){free}"
    click.echo(f"{output}: about {size}")
    tried = _counted(probe.clips + probe.failed, "clip")
    if found.seconds is None:
        click.echo(f"time: not known: {tried} tried, and none could be used")
        return
    rate = len(found.devices) * probe.clips / probe.seconds
    click.echo(
        f"time: about {_duration(found.seconds)} at {rate:.3g} clips/s, {found.backbone} on {', '.join(found.devices)}"
    )
    total = sum(probe.stages.values())
    shares = ", ".join(f"{name} {probe.stages.get(name, 0.0) / total:.0%}" for name in STAGES)
    failed = f", {probe.failed} failed" if probe.failed else ""
    click.echo(f"tried: {tried} in {probe.seconds:.1f} s, {probe.workers} at once{failed} ({shares})")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _size_words(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    minutes = seconds / 60
    if minutes < 100:
        return f"{minutes:.0f} min"
    hours = minutes / 60
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


@main.command(short_help="Add other labels to a cache.")
@click.argument("cache", default="features.zarr", metavar="[CACHE]")
@click.option(
    "--labels",
    required=True,
    metavar="SET|FILE",
    help="llp, ave, ov-avebench, demo, or a text file: one label a line.",
)
@click.option("--name", metavar="NAME", help="Name of the label set in the cache.  [default: the set's]")
@click.option(
    "--prompt-visual",
    multiple=True,
    metavar="TEXT",
    help='Sentence to compare pictures with, as "A {label}"; given several times: their average.  '
    "[default: the backbone's; ov-avebench brings its own, the bare names]",
)
@click.option("--prompt-audio", multiple=True, metavar="TEXT", help="The same for sound.")
@checkpoint_options
@click.option("--overwrite", is_flag=True, help="Replace a label set of that name.")
@examples(
    "av2a text features.zarr --labels my_labels.txt --name mine && av2a score --text mine",
    'av2a text --labels ave --prompt-audio "the sound of {label}" --prompt-audio "{label} can be heard" --name ave2',
)
def text(
    cache: str, labels: str, name: str | None, prompt_visual: tuple[str, ...], prompt_audio: tuple[str, ...],
    overwrite: bool, **weights: Any,
) -> None:  # fmt: skip
    """Add a label set to a feature cache: other words for the same videos, in seconds, on a CPU."""
    from extract.label_embeddings import add_label_set

    added = add_label_set(cache, labels, name, prompt_visual, prompt_audio, overwrite=overwrite, **weights)
    for note in added.notes:
        click.echo(in_options(f"note: {note}", "text"), err=True)
    click.echo(f"{cache}: label set {added.name!r}, {added.labels} labels" + ("" if added.new else ", was there"))


@main.command(short_help="List the encoders, or check one.")
@click.argument("pattern", required=False, metavar="[PATTERN]")
@click.option("--image-models", is_flag=True, help="List what the installed open_clip has for extract --image-model.")
@click.option(
    "--check", metavar="NAME", help="Load this one's weights, and see whether plain labels win on plain clips."
)
@checkpoint_options
@click.option("--device", metavar="auto|cpu|cuda[:i]", help="With --check: where to encode.  [default: auto]")
@click.option(
    "--precision",
    type=click.Choice(["float32", "float16", "bfloat16"]),
    help="With --check: arithmetic of the encoders.  [default: float32]",
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@examples(
    "av2a backbones",
    "av2a backbones --json | jq keys",
    "av2a backbones --image-models siglip2",
    "av2a backbones --check clip_clap",
    "av2a backbones --check language_bind --device cuda --precision bfloat16",
)
def backbones(pattern: str | None, image_models: bool, check: str | None, as_json: bool, **options: Any) -> None:
    """List the backbones: what they are, what they need, where their weights are.

    With --image-models: names and tags of open_clip's image models, the length of an embedding, the size of the
    pictures; of those alone whose name or NAME:TAG has PATTERN in it. Nothing is downloaded.

    With --check NAME: loads the weights of one and tries them: exit code 1 where a right label does not win.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if check is not None:
        if image_models or pattern is not None:
            raise click.UsageError("--check NAME stands alone: leave out --image-models and PATTERN")
        _check_backbone(check, given, as_json)
        return
    for name in given:
        raise click.UsageError(f"--{name.replace('_', '-')} goes with --check NAME")
    from dataclasses import asdict

    from extract.backbones import backbone_names, describe_backbone

    if image_models:
        _list_image_models(pattern or "", as_json)
        return
    if pattern is not None:
        raise click.UsageError("PATTERN goes with --image-models")
    found = {name: describe_backbone(name) for name in backbone_names()}
    if as_json:
        facts = {name: {**asdict(info), "installed": info.installed} for name, info in found.items()}
        _print_json(facts)
        return
    _table(
        ("name", "what", "needs", "dimensions", "checkpoints"),
        [
            (
                name,
                info.about,
                (info.extra or "-") + ("" if info.installed else "\n(not installed)"),
                ", ".join("?" if dim is None else str(dim or "-") for dim in (info.visual_dim, info.audio_dim)),
                "\n".join(info.checkpoints),
            )
            for name, info in found.items()
        ],
    )


def _list_image_models(pattern: str, as_json: bool) -> None:
    from dataclasses import asdict

    from extract import list_image_models

    found = list_image_models(pattern)
    if as_json:
        _print_json({model.name: asdict(model) for model in found})
        return
    if not found:
        raise click.ClickException(f"no image model has {pattern!r} in its name or tags")
    _table(
        ("name", "dim", "px", "tags"),
        [
            (
                model.name,
                model.dim,
                str(model.height) if model.height == model.width else f"{model.height}x{model.width}",
                "\n".join(model.tags),
            )
            for model in found
            if model.tags
        ],
    )
    if without := [model.name for model in found if not model.tags]:
        click.echo(f"for weights of your own (extract --checkpoint DIR), without tags: {', '.join(without)}")


_CHECKED_BY = {"image": "picture", "video": "video", "audio": "sound", "joint": "both", "audio_probability": "sound"}


def _check_backbone(name: str, options: Mapping[str, Any], as_json: bool) -> None:
    """Try a backbone's weights, and print what came of it."""
    from extract.checking.check import check_backbone

    with _progress("checking") as progress:
        found = check_backbone(name, progress=progress, **options)
    lost = sum(not each.passed for each in found.verdicts)
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    if as_json:
        _print_json(found.plain())
    else:
        click.echo(f"{found.backbone}, {found.device}, {found.precision}")
        rows = []
        for each in found.verdicts:
            first = [f"{label} {probability:.2f}" for label, probability in list(each.probabilities.items())[:3]]
            cosine = f"{max(each.cosines[label] for label in each.right):.3f}" if each.cosines else "-"
            wins = "yes" if each.passed else "NO"
            rows.append((" or ".join(each.right), _CHECKED_BY[each.array], wins, cosine, ", ".join(first)))
        _table(("right label", "by", "wins", "cosine", "probabilities"), rows)
        click.echo(f"fingerprint {found.fingerprint} (equal on equal machines; else compare cosines)")
        if not found.repeated:
            click.echo("the same clip twice gave other embeddings: they differ from run to run here")
        click.echo(
            f"loaded in {found.load_seconds:.1f} s; first clip {found.first_seconds:.2f} s, a later one "
            f"{found.clip_seconds:.2f} s"
        )
        sizes = (("memory", found.memory), ("on the GPU", found.gpu_memory))
        click.echo(", ".join(f"{what} {size / 1e9:.1f} GB" for what, size in sizes if size is not None))
        click.echo(f"{lost} of {len(found.verdicts)} right labels do not win" if lost else "every right label wins")
    if lost:
        sys.exit(1)


@main.command(short_help="Say what a cache holds, and how far it is.")
@click.argument("cache", default="features.zarr", metavar="[CACHE]")
@click.option("--failed", is_flag=True, help="List the clips that failed, with their reasons.")
@click.option("--shards", is_flag=True, help="Say shard by shard what is done, failed and pending.")
@click.option("--workers", type=click.IntRange(1), metavar="n", help="The same for each --shard-range i/n.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@examples(
    "av2a info",
    "av2a info features.zarr --failed",
    "av2a info s3://bucket/llp.zarr --workers 4",
    "av2a info --json | jq .attributes.packages",
)
def info(cache: str, failed: bool, shards: bool, workers: int | None, as_json: bool) -> None:
    """Say what a feature cache holds, and how far it is."""
    from feature_cache import FeatureCache

    opened = FeatureCache.open(cache)
    if shards or workers is not None:
        from feature_cache.progress import by_shard, by_worker

        tallies = by_shard(opened) if workers is None else by_worker(opened, workers)
        if as_json:
            _print_json([each._asdict() for each in tallies])
        else:
            first = "shard" if workers is None else "worker"
            _table((first, "shards", "rows", "done", "failed", "pending"), tallies)
        return
    if failed:
        reasons = {clip: in_options(reason, "extract") for clip, reason in opened.reasons().items()}
        if as_json:
            _print_json(reasons)
        else:
            for clip, reason in reasons.items():
                click.echo(f"{clip}\t{reason}")
        return
    facts = opened.describe()
    if as_json:
        _print_json(facts)
        return
    texts = {name: f"{len(labels)} labels" for name, labels in facts.pop("text_sets").items()}
    attributes = facts.pop("attributes")
    rows = [*facts.items(), *((f"text {name}", value) for name, value in texts.items()), *attributes.items()]
    _table(("what", "value"), [(name, _short(value)) for name, value in rows])


@main.command(short_help="Compare a cache with its checksums.")
@click.argument("cache", default="features.zarr", metavar="[CACHE]")
@click.option("--repair", is_flag=True, help="Mark what is bad as pending; `av2a extract` then does it again.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@examples("av2a verify", "av2a verify llp.zarr --repair && av2a extract LLP/videos -o llp.zarr --backbone clip_clap")
def verify(cache: str, repair: bool, as_json: bool) -> None:
    """Read a whole feature cache and compare it with its seals, checksums and digests.

    Exit code 1: something is bad, and was not (or not wholly) repaired.
    """
    from feature_cache import verify as run

    with _progress("reading") as progress:
        found = run(cache, repair=repair, progress=progress)
    if as_json:
        facts = found.to_dict()
        facts["damage"] = [{**bad, "mend": in_options(bad["mend"], "verify")} for bad in facts["damage"]]
        _print_json(facts)
    else:
        for bad in found.damage:
            place = bad.array if bad.shard is None else f"{bad.array}, shard {bad.shard}"
            clips = f" ({', '.join(bad.clips[:8])}{', …' if len(bad.clips) > 8 else ''})" if bad.clips else ""
            click.echo(in_options(f"{place}{clips}: {bad.what}" + (f"; {bad.mend}" if repair else ""), "verify"))
        counts = ", ".join(f"{count} {name}" for name, count in found.counts.items())
        state = "nothing is damaged" if found.intact else f"{len(found.damage)} things are bad"
        if not found.intact and found.repaired:
            state += ", repaired: extract again to make it whole"
        elif not found.intact and not repair:
            state += ": --repair marks them pending, then extract again"
        click.echo(f"{cache}: {state}" + (f" ({counts})" if counts else ""))
    if not found.intact and not found.repaired:
        sys.exit(1)


@main.command(short_help="Make a cache of an older format new.")
@click.argument("cache", default="features.zarr", metavar="[CACHE]")
@click.option("-o", "--output", metavar="PATH", help="Where the new one goes.  [default: into the old one's place]")
@click.option("--overwrite", is_flag=True, help="Replace a cache that is at --output.")
@examples("av2a upgrade llp.zarr", "av2a upgrade s3://bucket/llp.zarr -o s3://bucket/llp_3.zarr")
def upgrade(cache: str, output: str | None, overwrite: bool) -> None:
    """Make a feature cache of an older format one of the present format, which can be written to.

    Nothing is computed anew. The old cache stays until the new one is whole, and takes as much room again meanwhile.
    Exit code 3: rows or label sets that were damaged are left out.
    """
    from feature_cache import upgrade as run

    with _progress("upgrading") as progress:
        done = run(cache, output, overwrite=overwrite, progress=progress)
    click.echo(f"{done.path}: {done.clips - len(done.left_out)} of {done.clips} clips as they were")
    for what, names in (("clips", done.left_out), ("label sets", done.lost_texts)):
        if names:
            some = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
            click.echo(f"left out, as they are damaged: {len(names)} {what} ({some}): extract again", err=True)
    if done.left_out or done.lost_texts:
        sys.exit(EXIT_SOME_FAILED)


# --- other people's files -------------------------------------------------------------------------------


@main.command("export", short_help="Write a cache as one HDF5 file.")
@click.argument("cache", default="features.zarr", metavar="[CACHE]")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE.h5",
    help="File to write.  [default: the cache's name, ending in .h5]",
)
@click.option(
    "--compression",
    type=click.Choice(["gzip", "lzf", "none"]),
    default="gzip",
    show_default=True,
    help="gzip is read everywhere, lzf is h5py's own and faster.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@examples("av2a export", "av2a export llp.zarr -o llp.h5 --compression lzf")
def export_command(cache: str, output: Path | None, compression: str, overwrite: bool) -> None:
    """Write a feature cache as one HDF5 file; `av2a import` makes an equal cache of it."""
    from feature_cache import FeatureCache
    from feature_cache.exchange import export_hdf5

    opened = FeatureCache.open(cache)
    target = output or Path(Path(cache.rstrip("/")).name).with_suffix(".h5")
    with _progress("exporting") as progress:
        export_hdf5(opened, target, compression=compression, overwrite=overwrite, progress=progress)
    click.echo(f"{target}: {len(opened)} clips, {target.stat().st_size / 1e6:,.1f} MB, identity {opened.identity}")


@main.command("import", short_help="Make a cache of features from elsewhere.")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "-o", "--output", default="features.zarr", show_default=True, metavar="PATH", help="Feature cache to make."
)
@click.option("--image", metavar="WHAT", help="(N, T, Dv): picture embeddings, one a segment.")
@click.option("--video", metavar="WHAT", help="(N, W, F, Dv) or (N, W, Dv): picture embeddings of the windows.")
@click.option("--audio", metavar="WHAT", help="(N, W, Da) a window, (N, T, Da) a segment or (N, Da) a clip.")
@click.option("--audio-segments", metavar="WHAT", help="(N, T, Da), beside --audio a window or a clip.")
@click.option("--joint", metavar="WHAT", help="(N, W, Dj) or (N, Dj): embeddings of picture and sound at once.")
@click.option("--visual-probabilities", metavar="WHAT", help="(N, T, C) in [0, 1]: what a detector sees.")
@click.option("--audio-probabilities", metavar="WHAT", help="(N, T, C) in [0, 1]: what a detector hears.")
@click.option("--missing", metavar="WHAT", help="(N,): 0, 1 (no picture) or 2 (no sound) a clip.")
@click.option("--clips", metavar="NAME|FILE", help="Clip ids: an array of texts, or a text file, one a line.")
@click.option("--labels", metavar="NAME|FILE", help="Labels: an array of texts, or a text file, one a line.")
@click.option("--text-visual", metavar="WHAT", help="(C, Dv): the labels' text embeddings for pictures.")
@click.option("--text-audio", metavar="WHAT", help="(C, Da): those for sound, if they are others.")
@click.option("--text-joint", metavar="WHAT", help="(C, Dj): those for joint embeddings.")
@click.option("--text-name", metavar="NAME", help="Name of the label set in the cache.  [default: the file's]")
@click.option("--backbone", metavar="NAME", help="What made the features; a known name brings its published settings.")
@click.option(
    "--segment-seconds",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Length of a segment.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32"]),
    help="How values are stored.  [default: float16, probabilities float32]",
)
@click.option("--shard-size", type=click.IntRange(1), default=32, show_default=True, help="Clips a shard of the cache.")
@click.option(
    "--pool",
    is_flag=True,
    help="Average the vectors of a segment: (N, 80, D), as LLP's, and (N, 10, 7, 7, D), as AVE's.",
)
@click.option(
    "--segments",
    type=click.IntRange(2),
    metavar="T",
    help="Segments to --pool into.  [default: 10, or the fewest rows of an array]",
)
@click.option(
    "--repeated-clips",
    type=click.Choice(["refuse", "first", "number"]),
    default="refuse",
    show_default=True,
    help="Ids that occur more than once, as AVE's: one row each, if they are equal; or id, id~2, ...",
)
@click.option("--allow-missing", is_flag=True, help="A clip without a file in a folder has no picture, or no sound.")
@click.option("--overwrite", is_flag=True, help="Replace a cache that is there.")
@examples(
    "av2a import features.h5 -o again.zarr",
    "av2a import ave.h5 --image visual --audio avadataset --clips ids.txt -o ave.zarr",
    "av2a import --image clip/ --audio vggish/ --labels llp.txt --text-visual t.npy --text-audio s.npy",
    "av2a import --audio-probabilities heard.npy --visual-probabilities seen.npy --clips ids.txt --labels llp.txt",
)
def import_command(files: tuple[str, ...], output: str, **options: Any) -> None:
    """Make a feature cache of features computed elsewhere, or of what `av2a export` wrote.

    FILEs are HDF5, .npz or .npy. WHAT is an array's name in them, a .npy file, a folder with one .npy a clip,
    a file with one array a clip, or FILE:NAME, an array or a group of them; arrays called image, video, audio,
    clip_ids, labels, text_visual, text_audio, ... are found by themselves.
    """
    from feature_cache.exchange import import_features

    with _progress("importing") as progress:
        made = import_features(output, files, progress=progress, **options)
    texts = ", ".join(made.text_names) or "none"
    click.echo(
        f"{output}: {len(made)} clips of {made.segments} segments, {', '.join(made.arrays)}; windows: "
        f"{made.windows_kept}; label sets: {texts}; identity {made.identity}"
    )
    for line in _import_notes(made):
        click.echo(f"note: {line}", err=True)
    if made.windows_kept != "all" and made.kind == "embeddings":
        click.echo("note: without every window, score with --no-refinement or --pooled-windows", err=True)


def _import_notes(made: "FeatureCache") -> "Iterator[str]":
    attributes = made.attributes
    for name, each in attributes.get("pooled", {}).items():
        yield f"{name}: the mean of {each} vectors a segment"
    if "imported" in attributes and made.segments > 10 and made.segment_seconds == 1:
        yield (
            f"{made.segments} segments of 1 s a clip: if they are shorter, say so by --segment-seconds, or average "
            "several by --pool"
        )
    repeated = attributes.get("repeated_clips")
    if repeated:
        what = "equal rows of an id are one clip" if repeated["kept"] == "first" else "later ones are called id~2, id~3"
        yield f"{repeated['rows']} rows of {repeated['ids']} clip ids: {what}"


# --- stage 2 --------------------------------------------------------------------------------------------


def scoring_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The scoring parameters; each one not given is the published one of the cache's backbone."""
    known = _rule_parameters()
    command = click.option(
        "--config",
        "config_file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Parameters from a TOML or JSON file; options given here come first.",
    )(command)
    for each in reversed(known.values()):
        command = _parameter_option(each)(command)
    command = rule_option(command)

    @functools.wraps(command)
    def collected(*args: Any, **options: Any) -> Any:
        given = {name: value for name in known if (value := options.pop(name)) is not None}
        return command(*args, parameters=given, **options)

    return collected


def space_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Values to try for each parameter; one not given stays as published for the cache's backbone."""
    for each in reversed(_rule_parameters().values()):
        option, words = _option_and_words(each)
        if each.kind == "number":
            made = click.option(option, metavar="VALUES", help=words)
        elif each.searched:
            made = click.option(
                option, metavar="NAMES", help=f"Of {', '.join(each.names)}: {words[0].lower()}{words[1:]}"
            )
        else:
            made = _parameter_option(each)
        command = made(command)
    return rule_option(command)


def rule_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The decision rule; parameters of others are refused by the library."""
    return click.option(
        "--rule", type=click.Choice(list(PARAMETERS)), help="How events are decided (docs/rules.md).  [default: av2a]"
    )(command)


def _rule_parameters() -> "dict[str, Parameter]":
    """Parameters of all rules by name; of one that several rules have, as the first has it, with the names of all."""
    found: dict[str, Parameter] = {}
    for parameters in PARAMETERS.values():
        for name, each in describe(parameters).items():
            known = found.setdefault(name, each)
            found[name] = replace(known, names=tuple(dict.fromkeys((*known.names, *each.names))))
    return found


def _option_and_words(each: "Parameter") -> tuple[str, str]:
    """An option's name, and its help: the parameter's, and the rules that have it, if not AV²A's alone or all."""
    rules = [name for name, parameters in PARAMETERS.items() if each.name in describe(parameters)]
    of = "" if len(rules) == len(PARAMETERS) or rules == ["av2a"] else f"  ({', '.join(rules)})"
    return f"--{each.name.replace('_', '-')}", f"{each.help[0].upper()}{each.help[1:]}.{of}"


_OTHER_SPELLINGS = {"memory_seconds": ["--memory"]}
"""Of single values; `search` has a --memory of its own."""


def _parameter_option(each: "Parameter") -> Callable[..., Any]:
    """One value of a scoring parameter, as an option."""
    option, words = _option_and_words(each)
    spelt = [option, *_OTHER_SPELLINGS.get(each.name, [])]
    if each.kind == "flag":
        return click.option(f"{option}/--{each.off}", default=None, help=words)
    if each.kind == "choice":
        return click.option(option, type=click.Choice(each.names), help=words)
    if each.kind == "count":
        return click.option(option, type=click.IntRange(int(each.low), int(each.high)), help=words)
    if each.kind == "text":
        return click.option(option, metavar=each.metavar, help=words)
    high = None if each.high == float("inf") else each.high
    return click.option(*spelt, each.name, type=click.FloatRange(each.low, high), help=words)


class _Known(click.Choice[str]):
    """A choice whose names are imported when they are needed."""

    def __init__(self, names: Callable[[], Sequence[str]]) -> None:
        self._names = names
        self.case_sensitive = True

    @property
    def choices(self) -> Sequence[str]:  # type: ignore[override]
        return tuple(self._names())


def _datasets() -> Sequence[str]:
    from score.datasets import DATASETS

    return tuple(DATASETS)


def _formats() -> Sequence[str]:
    from score.formats import FORMATS

    return tuple(FORMATS)


@main.command(short_help="Turn a cache into events.")
@click.argument("cache", default="features.zarr", metavar="[CACHE]")
@scoring_options
@click.option("--text", metavar="NAME", help="Label set of the cache.  [default: the only one]")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File for the events: .json, .jsonl, .parquet, .csv, .tsv or .rttm; or a folder of a file a clip: NAME.vtt, "
    ".srt, .txt (Audacity), .TextGrid (Praat) or .eaf (ELAN) write into NAME.  [default: events.json]",
)
@click.option(
    "--format",
    "file_format",
    type=_Known(_formats),
    metavar="NAME",
    help="Whatever the ending: json, jsonl, csv, tsv, parquet, activitynet, audacity, vtt, srt, textgrid, eaf, "
    "label-studio or rttm.",
)
@click.option("--score-column", is_flag=True, help="Scores in .tsv, too, which has none otherwise.")
@click.option(
    "--stitch/--no-stitch",
    default=None,
    help="Events of clips cut from a longer file on the file's timeline, and none in what clips are padded with.  "
    "[default: where files were cut]",
)
@click.option(
    "--merge-gap",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Events of one label and stream that lie no further apart become one.",
)
@click.option(
    "--min-duration", type=click.FloatRange(0), metavar="SECONDS", help="Shorter events are dropped, after that."
)
@click.option(
    "--scores",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Probability and threshold of every label and segment, too: a folder of TSV as sed_scores_eval reads it, "
    "or a .npz or .parquet file.",
)
@click.option(
    "--cut",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Cut the events out of the videos, a file each, with a table cuts.csv (needs --videos).",
)
@click.option(
    "--videos",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder that was extracted, for --cut.",
)
@click.option(
    "--cut-stream",
    "cut_streams",
    type=click.Choice(STREAMS),
    multiple=True,
    help="Events of which stream are cut; several times for several.  [default: audiovisual]",
)
@click.option("--threads", type=click.IntRange(1), help="Threads; the result does not depend on them.")
@examples(
    "av2a score --alpha 0.5",
    "av2a score my.zarr --method naive --threshold-stage1 0.8 -o events.csv",
    "av2a score ave.zarr --decision argmax -o ave_events.json",
    "av2a score talks.zarr --format vtt -o talks",
    "av2a score --merge-gap 1 --min-duration 2",
    "av2a score --scores scores   # scores/audio/probability is for sed_scores_eval",
    "av2a score --cut cuts --videos my_videos --cut-stream audio",
)
def score(
    cache: str, parameters: dict[str, Any], rule: str | None, config_file: Path | None, text: str | None,
    output: Path | None,
    file_format: str | None, score_column: bool, stitch: bool | None, threads: int | None, merge_gap: float | None,
    min_duration: float | None, scores: Path | None, cut: Path | None, videos: Path | None,
    cut_streams: tuple[str, ...],
) -> None:  # fmt: skip
    """Turn a feature cache into events: what is seen, heard or both, and when.

    Exit code 3: some events could not be cut (--cut); each one's reason is in the table.
    """
    from contextlib import ExitStack

    from feature_cache import FeatureCache
    from score import score_blocks, settings_for
    from score.formats import FORMATS, format_of
    from score.rules import rule_of
    from score.score_files import scores_output

    if output is None:
        output = Path(f"events{(file_format and FORMATS[file_format].ending) or '.json'}")
    format_of(output, file_format)
    if (cut is None) != (videos is None) or (cut_streams and cut is None):
        raise click.UsageError("--cut DIR and --videos DIR belong together, --cut-stream to both")
    if scores is not None and scores.resolve() == output.resolve():
        raise click.UsageError("--scores and --output name the same file: choose another one")
    if cache == "features.zarr" and not Path(cache).exists():
        raise click.ClickException(
            "no features.zarr here: `av2a extract` makes it from ./videos; `av2a demo` makes videos to try"
        )
    opened = FeatureCache.open(cache)
    config = settings_for(opened, config_file, rule, **parameters)
    sources = None if videos is None else _videos_of(opened, videos, cut)
    _announce_compiling(rule_of(config).kernel(opened, None) if scores is None else "traces.trace_clips")
    with _progress("scoring") as progress, ExitStack() as stack:
        take = None if scores is None else stack.enter_context(scores_output(scores))
        events = score_blocks(
            opened, config, text=text, threads=threads, stitched=stitch, progress=progress, merge_gap=merge_gap,
            min_duration=min_duration, segment_scores=take,
        )  # fmt: skip
        facts = events.facts
        if not facts.clip_ids:
            raise click.ClickException(f"{cache} has no clip that is done: see `av2a info {cache} --failed`")
        kept = events.keep(cut_streams or STREAMS[:1]) if cut is not None else []
        written = events.write(output, format=file_format, score_column=score_column)
    assert facts.config is not None
    _print_config(facts.config, opened.backbone, parameters, config_file, facts.after_processing)
    if facts.approximation:
        click.echo(f"approximate: {facts.approximation}")
    counts = events.counts.tolist()
    _table(
        ("label", "audiovisual", "visual", "audio"),
        [(label, *row) for label, row in zip(facts.labels, counts, strict=True) if any(row)]
        + [("all", *(sum(column) for column in zip(*counts, strict=True)))],
    )
    left = ", ".join(f"{count} {why}" for why, count in facts.left_out.items() if count)
    click.echo(
        f"{events.counts.sum()} events in {len(facts.clip_ids)} clips -> {', '.join(written)}"
        + (f" (left out: {left})" if left else "")
    )
    for lacking in ("sound", "picture"):
        count = sum(value == lacking for value in facts.missing.values())
        if count:
            click.echo(f"{count} of the clips have no {lacking}: they are scored on what they have")
    padded = [clip for clip in facts.clip_ids if clip in facts.clips_from and facts.clips_from[clip][2] is not None]
    if padded and not facts.stitched:
        click.echo(f"{len(padded)} of the clips are padded at their ends: --stitch cuts events there (not for metrics)")
    if scores is not None:
        late = facts.settings.get("fusion") == "late"
        click.echo(f"segment scores -> {scores}" + (" (none of the audiovisual stream: late fusion)" if late else ""))
    if cut is not None:
        _cut(kept, facts, sources, cut)


def _videos_of(cache: "FeatureCache", videos: Path, folder: Path | None) -> Any:
    """The files that a cache's clips come from, looked for before anything is scored."""
    from extract.cutting import Videos

    places = cache.attributes
    found = Videos(videos, cache.clip_ids, places.get("clips_from", {}), places.get("files", {}))
    if folder is not None:
        found.keep_out(folder)
    return found


def _cut(blocks: "Sequence[EventBlock]", facts: "EventFacts", videos: Any, folder: Path) -> None:
    from extract.cutting import FoundEvent, cut_events

    known = {"clips": facts.clip_ids, "labels": facts.labels}
    events = [FoundEvent(*row) for block in blocks for row in block.rows(known)]
    with _progress("cutting") as progress:
        made = cut_events(events, videos, folder, stitched=facts.stitched, progress=progress)
    counts = ", ".join(f"{count} {how}" for how, count in sorted(made.counts.items()))
    click.echo(f"{sum(made.counts.values())} events cut{f' ({counts})' * bool(counts)} -> {made.table}")
    for reason, count in made.failed.most_common(8):
        click.echo(error_line(f"not cut: {count} {'event' if count == 1 else 'events'}: {reason}"), err=True)
    if made.failed:
        sys.exit(EXIT_SOME_FAILED)


def truth_options(command: Callable[..., Any], *, required: bool = True) -> Callable[..., Any]:
    """Which annotations are meant, taken together by :func:`_read_truth`."""
    options = (
        click.option("--dataset", type=_Known(_datasets), required=required, help="Whose files and metrics."),
        click.option(
            "--annotations",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="Folder of the data set's own annotation files, or, of ave and unav-100, the file.",
        ),
        click.option(
            "--truth",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="For --dataset events: a file of events, in any format that is read, with any labels.",
        ),
        click.option(
            "--clips",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Clips that were looked at, one a line, where a list of events cannot say so.  [default: all]",
        ),
        click.option(
            "--stream",
            type=click.Choice(["audiovisual", "visual", "audio"]),
            help="What a list of events is about that does not say so.  [default: audiovisual]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _read_truth(
    dataset: str, annotations: Path | None, truth: Path | None, clips: Path | None, stream: str | None,
    collar: float | None = None, split: str | None = None,
) -> "Annotations":  # fmt: skip
    """The annotations that the options mean; of the split of --split, or another."""
    from score import read_annotations

    context = click.get_current_context()
    if dataset == "events":
        if annotations is not None or truth is None:
            raise click.UsageError("--dataset events compares with a file of events: name it as --truth FILE")
        for name in ("split", "report_split"):
            if _on_the_command_line(name):
                raise click.UsageError(f"--{name.replace('_', '-')}: a file of events has no splits")
        return read_annotations(dataset, truth, clips=clips, stream=stream, collar=collar)
    if truth is not None:
        raise click.UsageError(f"--truth is for --dataset events: the files of {dataset} are --annotations DIR")
    if annotations is None:
        raise click.UsageError("Missing option '--annotations'.")
    if collar is not None:
        raise click.UsageError(f"--collar is for --dataset events: figures of {dataset} have none")
    return read_annotations(dataset, annotations, split=split or context.params["split"])


@main.command(short_help="Compare events with annotations.")
@click.argument("events", type=click.Path(path_type=Path), nargs=-1, metavar="[EVENTS]...")
@truth_options
@click.option(
    "--split", type=click.Choice(["train", "val", "test"]), default="test", show_default=True, help="Whose clips."
)
@click.option(
    "--partial", is_flag=True, help="Accept events of a part of the split's clips; of several files, those they share."
)
@click.option(
    "--paper-protocol",
    is_flag=True,
    help="As the official script: visual predictions evaluated as if they were the audio ones.",
)
@click.option(
    "--collar",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="For --dataset events: how far a found onset may be from a true one.  [default: 0.2]",
)
@click.option(
    "--scores",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="For --dataset events: PSDS of the scores in a folder of .tsv files, one a clip; of the audio stream unless "
    "--stream says otherwise.",
)
@click.option("--per-class", is_flag=True, help="Figures of each label, and the labels most often taken for others.")
@click.option(
    "--per-clip",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.csv",
    help="Write every figure of every clip, worst first, and into FILE_confusion.csv which label was said for which.",
)
@click.option("--intervals", is_flag=True, help="95 % intervals of the figures, bootstrapped over clips.")
@click.option(
    "--compare",
    "comparing",
    is_flag=True,
    help="Several files side by side, with 95 % intervals of how far each is from the first.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Equal seeds give equal intervals.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
@examples(
    "av2a evaluate events.json --annotations annotations --dataset llp --split test",
    "av2a evaluate ave_events.json --annotations ave --dataset ave --json",
    "av2a evaluate --annotations annotations --dataset llp --per-class --per-clip clips.csv",
    "av2a evaluate a.json b.csv --annotations LLP/annotations --dataset llp --compare",
    "av2a evaluate theirs.csv --dataset llp --annotations LLP --clips looked_at.txt",
    "av2a evaluate theirs.tsv --dataset events --truth mine.tsv --stream audio --collar 0.5",
    "av2a evaluate events.json --dataset events --truth mine.csv --scores scores",
    "av2a evaluate long.json --annotations unav100_annotations.json --dataset unav-100 --per-class",
)
def evaluate(
    events: tuple[Path, ...], annotations: Path | None, truth: Path | None, dataset: str, split: str,
    clips: Path | None, stream: str | None, partial: bool, paper_protocol: bool, collar: float | None,
    scores: Path | None, per_class: bool, per_clip: Path | None, intervals: bool, comparing: bool, seed: int,
    output: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Compare events with a data set's annotations, or with your own.

    EVENTS are files of events, by default ./events.json; several with --compare. Each is one of av2a's, or a list of
    events by any other system: CSV, DCASE TSV, ActivityNet JSON, Audacity labels, ... A list cannot name clips without
    events: every clip of the split counts, unless --clips or --partial says otherwise.
    """
    from score.evaluation import evaluate as measure

    files = events or (Path("events.json"),)
    if scores is not None and dataset != "events":
        raise click.UsageError("--scores is for --dataset events: give the annotations as a file, --truth FILE")
    if comparing and (per_class or per_clip is not None or intervals or scores is not None):
        raise click.UsageError(
            "--per-class, --per-clip, --intervals and --scores are for one file, --compare for several"
        )
    if len(files) > 1 and not comparing:
        raise click.UsageError(f"{len(files)} files: --compare puts them side by side; else name one at a time")
    known = _read_truth(dataset, annotations, truth, clips, stream, collar)
    looked_at: dict[str, Any] = {"clips": clips, "partial": partial, "stream": stream}
    how: dict[str, Any] = {"partial": partial, "paper_protocol": paper_protocol}
    if comparing:
        _compare(files, known, looked_at, **how, seed=seed, output=output, json=as_json)
        return
    with _progress("reading events (bytes)") as progress:
        found = _predictions(files[0], known, progress, looked_at)
        report = measure(found, known, **how, details=per_class or per_clip is not None)
    facts = report.to_dict()
    of_scores = None
    if scores is not None:
        from score import psds

        of_scores = psds(scores, known, stream=stream, partial=partial)
        facts["scores"] = of_scores.to_dict()
    _say_notes(found)
    if intervals:
        facts["intervals"] = {name: _interval(ends) for name, ends in report.intervals(seed=seed).items()}
    outputs = {} if per_clip is None else _per_clip_files(report, per_clip)
    _write_figures(facts, output, outputs)
    if as_json:
        _print_json(facts)
        return
    _print_report(report, per_class)
    for header, rows in () if of_scores is None else of_scores.tables(per_class):
        _table(header, rows)
    if intervals:
        rows = [(name, report.metrics[name], _between(ends)) for name, ends in facts["intervals"].items()]
        _table(("figure", "value", "95 % interval over clips"), rows)
    if outputs:
        click.echo(f"written: {' '.join(map(str, outputs))}")


def _predictions(
    path: Path, truth: "Annotations", progress: "Callable[[int, int], None]", looked_at: Mapping[str, Any]
) -> "EventBlocks":  # fmt: skip
    """The events of a file, of whatever system."""
    from score import read_predictions

    return read_predictions(path, truth, progress=progress, **looked_at)


def _say_notes(found: "EventBlocks", name: str = "") -> None:
    for note in found.notes:
        click.echo(f"note: {name}{in_options(note, 'evaluate')}", err=True)


def _compare(
    files: Sequence[Path], truth: "Annotations", looked_at: Mapping[str, Any], *, output: Path | None, json: bool,
    **how: Any,
) -> None:  # fmt: skip
    """Print several files side by side."""
    from score import compare
    from score.comparison import short_names

    if len(files) < 2:
        raise click.UsageError(f"--compare needs two files of events or more, {len(files)} given: a.json b.json")
    with _progress("reading events (bytes)") as progress:
        systems = {
            name: _predictions(file, truth, progress, looked_at)
            for name, file in zip(short_names(files), files, strict=True)
        }
        found = compare(systems, truth, **how)
    for name, each in systems.items():
        _say_notes(each, f"{name}: ")
    facts = found.to_dict()
    _write_figures(facts, output)
    if json:
        _print_json(facts)
        return
    click.echo(f"{found.clips} of {found.clips_in_split} clips of {_split_of(truth)}, in all {len(files)} files")
    for name, report in found.reports.items():
        if report.approximation:
            click.echo(f"{name}: approximate: {report.approximation}")
        if report.inferred:
            click.echo(f"{name}: {report.inferred}")
    if how["paper_protocol"]:
        click.echo(_PAPER_PROTOCOL)
    for table in found.tables():
        _table(*table)
    click.echo(
        f"* 0 is outside the 95 % interval of the difference ({found.resamples:,} paired resamples of the clips)"
    )


def _per_clip_files(report: "Report", path: Path) -> dict[Path, str | bytes]:
    """A line a clip, and beside it the labels that were taken for others."""
    found: dict[Path, str | bytes] = {path: report.per_clip_csv()}
    if report.confusion is not None and not (path.exists() and not path.is_file()):  # nothing lies beside a pipe
        found[path.with_name(f"{path.stem}_confusion{path.suffix}")] = report.confusion.csv()
    return found


def _write_figures(
    facts: Mapping[str, Any], output: Path | None, others: Mapping[Path, str | bytes] | None = None
) -> None:
    """Write figures as JSON, and other files with them: all or none."""
    from feature_cache.storage.atomic import write_outputs

    files: dict[Path, str | bytes] = dict(others or {})
    if output is not None:
        if output in files:
            raise click.UsageError(f"{output} would be written twice: give --output and --per-clip two names")
        files[output] = _json(facts) + "\n"
    if files:
        write_outputs(files)


def _interval(ends: tuple[float, float]) -> list[float | None]:
    """JSON-able ends of an interval."""
    return [None if end != end else end for end in ends]


def _between(ends: Sequence[float | None]) -> str:
    low, high = ends
    return "-" if low is None or high is None else f"{low:.1f} to {high:.1f}"


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A number of bytes: 500k, 2M, 1.5 GB."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,9})?) ?([kMG]?)B?", value)
    if found is None:
        raise click.BadParameter(
            f"{value!r} is no size, as 500k or 2M; files of events come before --embed", ctx, param
        )
    return int(float(found[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[found[2]])


@main.command("report", short_help="Write events as a page to look at and listen to.")
@click.argument("events", type=click.Path(path_type=Path), nargs=-1, metavar="[EVENTS]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="The HTML file; one that is there is replaced.",
)
@click.option(
    "--videos",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the videos, or the video: the page links to them.  [default: videos beside the first file of "
    "events or in the working folder, if there]",
)
@click.option(
    "--cache",
    metavar="CACHE",
    help="The cache that was scored: names the clips that failed, with their reasons, and where files lie in --videos.",
)
@click.option(
    "--embed",
    callback=_size,
    is_flag=False,
    flag_value="2M",
    metavar="[SIZE]",
    help="Put videos up to a size into the file, so that it can be sent alone.  [2M where no size is given]",
)
@functools.partial(truth_options, required=False)
@click.option(
    "--split", type=click.Choice(["train", "val", "test"]), default="test", show_default=True, help="Whose clips."
)
@click.option("--partial", is_flag=True, help="Accept events of a part of the split's clips.")
@click.option("--title", metavar="TEXT", help="Title of the page.  [default: av2a report]")
@examples(
    "av2a report",
    "av2a report events.json --videos videos --annotations annotations --dataset llp --split test",
    "av2a report a.json b.json -o both.html --title 'two settings'",
    "av2a report events.json --cache features.zarr --embed 500k",
    "av2a report theirs.csv --dataset events --truth mine.tsv",
)
def report_command(
    events: tuple[Path, ...], output: Path, videos: Path | None, cache: str | None, embed: int | None,
    annotations: Path | None, truth: Path | None, dataset: str | None, split: str, clips: Path | None,
    stream: str | None, partial: bool, title: str | None,
) -> None:  # fmt: skip
    """Write events as one HTML file that opens from disk without a network.

    It holds settings, cache, counts and failures, a list of clips to search and order and, for each clip, its video and
    three timelines: seen, heard, both. With annotations, figures with 95 % intervals and the truth beside the events.
    EVENTS are files of events, by default ./events.json; several stand above each other, with their differences marked.
    """
    from feature_cache import FeatureCache
    from score.comparison import short_names
    from score.view.report import USUAL_TITLE, read_system, write_report

    files = events or (Path("events.json"),)
    _check_report(files, output, dataset, {"--annotations": annotations, "--truth": truth, "--clips": clips})
    known = None if dataset is None else _read_truth(dataset, annotations, truth, clips, stream)
    looked_at: dict[str, Any] = {"clips": clips, "partial": partial, "stream": stream}
    folder = _videos_beside(files[0]) if videos is None else videos
    with _progress("making the report") as progress:
        systems = {
            name: read_system(file, known, progress=progress, **looked_at)
            for name, file in zip(short_names(files), files, strict=True)
        }
        written = write_report(
            output,
            systems,
            annotations=known,
            videos=folder,
            cache=None if cache is None else FeatureCache.open(cache),
            embed=embed,
            partial=partial,
            title=title or USUAL_TITLE,
            words=lambda text: in_options(text, "evaluate"),
            progress=progress,
        )
    for name, each in systems.items():
        _say_notes(each, f"{name}: " if len(systems) > 1 else "")
    if folder is None:
        click.echo("no videos: name their folder with --videos DIR to see and hear the clips", err=True)
    else:
        left = f"{written.embedded} files put in, {written.linked} left as links" if embed is not None else "as links"
        click.echo(f"videos of {written.with_video} of {written.clips} clips in {folder}: {left}", err=True)
    click.echo(f"{written.events} events in {written.clips} clips -> {output} ({_megabytes(written.bytes)})")


def _check_report(
    files: Sequence[Path], output: Path, dataset: str | None, given: Mapping[str, Path | None]
) -> None:  # fmt: skip
    named = [option for option, value in given.items() if value is not None]
    named += [f"--{name}" for name in ("split", "stream", "partial") if _on_the_command_line(name)]
    if dataset is None and named:
        raise click.UsageError(f"Missing option '--dataset': whose annotations {named[0]} means.")
    if any(file.exists() and output.exists() and file.samefile(output) for file in files):
        raise click.UsageError(f"{output} is a file of events: name another --output")


def _videos_beside(file: Path) -> Path | None:
    """The folder in which videos are looked for where nobody names one."""
    return next((found for found in (file.parent / "videos", Path("videos")) if found.is_dir()), None)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


# --- published experiments ------------------------------------------------------------------------------


def _experiments() -> Sequence[str]:
    from score.reproduction import experiments

    return tuple(experiments())


@main.command(short_help="Run a published experiment, and compare.")
@click.argument("experiment", type=_Known(_experiments), metavar="llp|ave|ov-avebench|demo")
@click.option(
    "--videos", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the clips.  [demo: they are made]"
)
@click.option(
    "--annotations",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the data set's own annotation files.  [demo: they are made]",
)
@click.option(
    "--split", type=click.Choice(["train", "val", "test"]), default="test", show_default=True, help="Whose clips."
)
@click.option(
    "--backbone",
    metavar="NAME",
    help="Encoders (`av2a backbones`).  [default: those of the cache that is there, else the first that figures are "
    "published with]",
)
@checkpoint_options
@click.option(
    "--config",
    "config_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Parameters of scoring from a TOML or JSON file, in place of the published ones.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for features.zarr, events.json and figures.json; the demo's clips, too.  "
    "[default: reproduce_EXPERIMENT]",
)
@click.option("--partial", is_flag=True, help="Go on without the clips of the split that have no video.")
@click.option(
    "--audio-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Take the sound from WAV files of the same names (or paths) in this folder.",
)
@click.option(
    "--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:i]", help="Where to encode, as for extract."
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "float16", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Arithmetic of the encoders.",
)
@click.option("--workers", type=click.IntRange(1), help="Clips decoded at once.  [default: the cores]")
@batch_size_option
@click.option("--retry-failed", is_flag=True, help="Try clips again that failed before.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Equal seeds give equal intervals.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
@examples(
    "av2a reproduce demo",
    "av2a reproduce llp --videos LLP/videos --annotations LLP/annotations --backbone language_bind --device cuda",
    "av2a reproduce ave --videos AVE/videos --annotations AVE --partial",
    "av2a reproduce ov-avebench --videos VGGSound --annotations OV-AVEBench -o runs/ov",
)
def reproduce(
    experiment: str, videos: Path | None, annotations: Path | None, split: str, config_file: Path | None,
    output: Path | None, partial: bool, seed: int, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Run a published experiment from videos to a table of published figures beside ours.

    What is missing is said at once, before any work. The same command after an interruption goes on where it
    stopped. Exit code 3: some clips failed, and the figures are of the rest.
    """
    from extract import ExtractOptions
    from score.reproduction import experiments
    from score.settings import read_parameters

    known, folder = experiments()[experiment], output or Path(f"reproduce_{experiment}")
    if experiment == "demo" and videos is None and annotations is None:
        videos, annotations = _demo_in(folder)
    if videos is None or annotations is None:
        raise click.UsageError("--videos DIR and --annotations DIR are needed: the clips, and what is true of them")
    given = {} if config_file is None else read_parameters(config_file, next(iter(PARAMETERS)))[1]
    wanted = ExtractOptions(labels=known.labels, **options)
    ready = _ready(known, videos, annotations, split, folder / "features.zarr", wanted, given, partial=partial)
    folder.mkdir(parents=True, exist_ok=True)
    failed = _extract_for(ready, videos, folder / "features.zarr", wanted, quiet=as_json)
    found = _measure_for(ready, folder, seed=seed, quiet=as_json)
    _write_figures(found.to_dict(), folder / "figures.json")
    cut = len(ready.files) - failed - found.report.n_found
    if cut > 0:
        click.echo(
            f"note: videos that are longer than a clip, and no clip of the split: {cut}, cut them first", err=True
        )
    if as_json:
        _print_json(found.to_dict())
    else:
        click.echo(
            f"{known.measures.title}, {split} split, {found.backbone}: {found.report.n_found:,} of "
            f"{found.report.n_split:,} clips" + (f"; published: {found.row.source}" if found.row else "")
        )
        _table(*found.table())
        for note in found.notes:
            click.echo(f"note: {note}")
        click.echo(f"written: {folder / 'features.zarr'} {folder / 'events.json'} {folder / 'figures.json'}")
    if failed or cut > 0:
        sys.exit(EXIT_SOME_FAILED)


def _demo_in(folder: Path) -> tuple[Path, Path]:
    """The demo's clips and annotations in a folder, made if they are not there."""
    from extract.demo import demo_there, make_demo

    made = demo_there(folder)
    if made is None:
        with _progress("making clips") as progress:
            made = make_demo(folder, progress=progress)
    return made.videos, made.annotations


@dataclass(frozen=True)
class _Ready:
    """An experiment of which nothing is missing."""

    experiment: "Experiment"
    backbone: str
    truth: "Annotations"
    files: tuple[str, ...]
    settings: Mapping[str, Any]


def _ready(
    experiment: "Experiment", videos: Path, annotations: Path, split: str, cache: Path, options: "ExtractOptions",
    given: Mapping[str, Any], *, partial: bool,
) -> _Ready:  # fmt: skip
    """Whatever is missing is said, a line each, before anything is begun."""
    from extract.readiness import readiness
    from score import read_annotations

    truth, missing, settings, files = None, list[str](), dict[str, Any](), tuple[str, ...]()
    try:
        truth = read_annotations(experiment.dataset, annotations, split=split)
    except Av2aError as error:
        missing.append(f"annotations: {error}")
    there = readiness(videos, cache, options, usual=experiment.backbones, others_missing=bool(missing))
    missing += there.missing
    try:
        settings = experiment.settings(there.backbone, split, given) if there.backbone else {}
    except Av2aError as error:
        missing.append(f"settings: {error}, in a file: --config FILE")
    if truth is not None and there.files:
        files, lacking = experiment.files_of(truth, there.files, partial=partial)
        missing += [f"videos: {videos}: {line}" for line in lacking]
    if missing or truth is None:
        lines = [error_line(f"missing: {in_options(line, 'reproduce')}") for line in missing]
        if len(lines) == 1:
            raise click.ClickException(lines[0])
        for line in lines:
            click.echo(line, err=True)
        raise click.ClickException(f"{len(lines)} things are missing, nothing was begun")
    return _Ready(experiment, there.backbone, truth, files, settings)


def _extract_for(ready: _Ready, videos: Path, cache: Path, options: "ExtractOptions", *, quiet: bool) -> int:
    """Extract the experiment's clips; how many failed."""
    from extract import extract_videos

    with _progress("extracting") as progress:
        summary = extract_videos(
            videos, cache, options, backbone=ready.backbone, only=ready.files, progress=progress,
            notice=lambda line: _say(in_options(line, "reproduce")),
        )  # fmt: skip
    for note in summary.notes:
        click.echo(in_options(f"note: {note}", "reproduce"), err=True)
    mine = ready.experiment.failed_of(ready.truth, summary.failed)
    for clip, reason in mine.items():
        click.echo(error_line(f"failed: {clip}: {in_options(reason, 'extract')}"), err=True)
    if not quiet:
        click.echo(f"{cache}: {len(ready.files) - len(mine):,} clips done, {len(mine)} failed, {summary.seconds:.1f} s")
    return len(mine)


def _measure_for(ready: _Ready, folder: Path, *, seed: int, quiet: bool) -> "Reproduction":
    """Score at the published settings, and measure."""
    from feature_cache import FeatureCache
    from score import EventBlocks, score_blocks, settings_for
    from score.reproduction import measure
    from score.rules import rule_of

    cache, events = FeatureCache.open(folder / "features.zarr"), folder / "events.json"
    config = settings_for(cache, **ready.settings)
    _announce_compiling(rule_of(config).kernel(cache, None))
    with _progress("scoring") as progress:
        blocks = score_blocks(cache, config, text=ready.experiment.labels, stitched=False, progress=progress)
        blocks.write(events)
    if not quiet:
        settings = " ".join(f"{name}={value}" for name, value in blocks.facts.settings.items())
        click.echo(f"settings: {settings}")
    return measure(ready.experiment, cache.backbone, lambda: EventBlocks.read(events), ready.truth, seed=seed)


# --- search ---------------------------------------------------------------------------------------------


@main.command(short_help="Find the settings that agree best.")
@click.argument("cache", default="features.zarr", metavar="[CACHE]")
@truth_options
@click.option(
    "--split", type=click.Choice(["train", "val", "test"]), default="val", show_default=True, help="Tune on it."
)
@click.option("--report-split", type=click.Choice(["train", "val", "test"]), help="Report the best setting on it, too.")
@space_options
@click.option(
    "--objective",
    default=None,
    help="segment-type-av, event-visual, accuracy, map, ...; several with commas give the Pareto set.",
)
@click.option(
    "--sampler",
    type=click.Choice(["grid", "sobol", "tpe"]),
    default="grid",
    show_default=True,
    help="Every combination, or settings drawn.",
)
@click.option(
    "--samples", type=click.IntRange(1), default=8192, show_default=True, help="Settings to draw (not for grid)."
)
@click.option(
    "--sample-clips",
    type=click.IntRange(1),
    metavar="N",
    help="Tune on N clips of the split, drawn from every class by its share.  [default: all]",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Equal seeds draw equal settings and clips.",
)
@click.option("--text", metavar="NAME", help="Label set of the cache.  [default: the only one]")
@click.option("--per-clip-ceiling", is_flag=True, help="What the best setting for each clip would reach.")
@click.option(
    "--per-clip",
    is_flag=True,
    help="What a setting for each clip is worth on --report-split: chosen by features that need no annotations, as "
    "learned on the split that is tuned on.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("search.zarr"),
    show_default=True,
    help="All results: a folder; a .csv or .parquet file is written beside such a folder.",
)
@click.option(
    "--best",
    "best_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("best.toml"),
    show_default=True,
    help="The best setting, for `av2a score --config`.",
)
@click.option("--plot", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Draw pictures into it.")
@click.option("--partial", is_flag=True, help="Accept a cache of a part of the split's clips.")
@click.option("--threads", type=click.IntRange(1), help="Threads; the result does not depend on them.")
@click.option(
    "--memory",
    default="2GiB",
    show_default=True,
    metavar="SIZE",
    help="What the search may take: 2GiB, 500MB, or bytes. What does not fit lies beside the output meanwhile; the "
    "result does not depend on it.",
)
@click.option("--overwrite", is_flag=True, help="Replace the results of another search.")
@examples(
    "av2a search --annotations annotations --dataset llp --alpha 0:1:0.1 --gamma 0.5:4:0.5 --report-split test",
    "av2a search llp.zarr --annotations LLP --dataset llp --sampler sobol --alpha 0,1 --threshold-stage1 0.5,0.9",
    "av2a search ave.zarr --annotations AVE --dataset ave --alpha 0:1:0.05 -o all.csv --plot pictures",
    "av2a search ov.zarr --annotations OV-AVEBench --dataset ov-avebench --sampler sobol --samples 8192 --seed 42 "
    "--sample-clips 200 --alpha 0,1 --filter-threshold 0,1 --gamma 0,5 --threshold-stage1 0,1 --threshold-stage2 0,1",
)
def search(
    cache: str, annotations: Path | None, truth: Path | None, dataset: str, split: str, report_split: str | None,
    clips: Path | None, stream: str | None, objective: str | None, output: Path, best_file: Path, plot: Path | None,
    partial: bool, overwrite: bool, threads: int | None, memory: str, text: str | None, sampler: str, samples: int,
    sample_clips: int | None, seed: int, per_clip_ceiling: bool, per_clip: bool, rule: str | None, **given: Any,
) -> None:  # fmt: skip
    """Find the settings that agree best with annotations, by trying many in seconds.

    VALUES and NAMES are those to try: a:b:step, or several with commas. What is not given stays as published for the
    cache's backbone. Tune on one split and report on another. The same command after an interruption goes on where it
    stopped.
    """
    from feature_cache import FeatureCache
    from feature_cache.storage.atomic import write_outputs
    from score import Space, read_annotations
    from score.datasets import DATASETS
    from score.rules import USUAL, find_rule
    from score.tuning.search import search as try_settings
    from score.tuning.store import is_table_of, remember_table

    opened = FeatureCache.open(cache)
    space = Space(rule=rule or USUAL, **{name: value for name, value in given.items() if value is not None})
    known = _read_truth(dataset, annotations, truth, clips, stream)
    aside = known
    if annotations is not None and report_split not in (None, split):
        aside = read_annotations(dataset, annotations, split=report_split)
    table = output if output.suffix.lower() in (".csv", ".parquet") else None
    store = output.with_suffix(".zarr") if table else output
    _check_best(best_file, store, overwrite)
    if table is not None and table.exists() and not overwrite and not is_table_of(store, table):
        raise click.ClickException(f"{table} is there already: choose another output, or --overwrite")
    measures = DATASETS[dataset]
    reading = measures.reading.code if measures.from_sums is not None else None
    _announce_compiling(find_rule(space.rule).kernel(opened, reading))
    with _search_progress() as progress:
        result = try_settings(
            opened, known, space, text=text, objective=objective and objective.split(","), sampler=sampler,
            samples=samples, seed=seed, threads=threads, partial=partial, sample_clips=sample_clips,
            per_clip_ceiling=per_clip_ceiling, per_clip=per_clip, output=store, overwrite=overwrite, progress=progress,
            report_on=aside, memory=memory,
        )  # fmt: skip
    click.echo(
        f"{result.n_found} of {result.n_split} clips "
        + (f"drawn from the {len(known.clip_ids):,} " if sample_clips else "")
        + f"of {_split_of(known)}, {len(result):,} settings, {result.seconds:.1f} s"
    )
    names = result.objectives
    _table(*result.table(result.top(10)))
    if len(names) > 1:
        click.echo(f"not beaten in all of {', '.join(names)}:")
        _table(*result.table(result.pareto()[:20]))
    best = result.best
    click.echo("the best setting, with 95 % intervals over clips:")
    if result.report is not None:
        _table(*result.report.table())
    if result.ceiling is not None:
        click.echo(
            f"the best setting for each clip would reach {result.mean_ceiling:.1f} % {names[0]} on {_split_of(known)}"
        )
    if result.per_clip is not None:
        click.echo(
            f"a setting for each clip, with 95 % intervals over clips; on {_split_of(known)}, where it was learned, "
            "cross-validated:"
        )
        _table(*result.per_clip.table())
        click.echo(result.per_clip.verdict)
    written = [str(store)]
    if table is not None:
        content = result.as_csv() if table.suffix.lower() == ".csv" else result.as_parquet()
        remember_table(store, content)
        write_outputs({table: content})
        written.append(str(table))
    _write_best(best_file, best, store, names[0], _split_of(known))
    written.append(str(best_file))
    if plot is not None:
        from score.tuning.plots import plot_search

        written += plot_search(result, plot)
    if result.inferred:
        click.echo(f"note: {result.inferred}")
    click.echo(f"written: {' '.join(written)}")


@main.command("compare", short_help="Put the decision rules side by side.")
@click.argument("cache", default="features.zarr", metavar="[CACHE]")
@truth_options
@click.option(
    "--rules", metavar="NAMES", help=f"Of {', '.join(PARAMETERS)}, with commas.  [default: all that the cache allows]"
)
@click.option(
    "--config",
    "config_files",
    type=click.Path(dir_okay=False, path_type=Path),
    multiple=True,
    help="A rule's settings, as for `av2a score`; several times for several. What it gives is not tuned.",
)
@click.option("--tune", is_flag=True, help="Choose each rule's settings on --split, over equally many of them.")
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    default="val",
    show_default=True,
    help="Tune on it (--tune).",
)
@click.option(
    "--report-split",
    type=click.Choice(["train", "val", "test"]),
    default="test",
    show_default=True,
    help="Whose clips the figures are of.",
)
@click.option("--samples", type=click.IntRange(1), help="Settings of each rule (--tune).  [default: 1024]")
@click.option("--objective", help="The figure to tune: segment-type-av, accuracy, map, ...")
@click.option(
    "--sound", type=click.Choice(SOUNDS), help="For rules that have it: what a segment's sound is.  [default: each's]"
)
@click.option("--baseline", default="av2a", show_default=True, metavar="RULE", help="Differences are from it.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Equal seeds draw equal settings and clips."
)
@click.option("--text", metavar="NAME", help="Label set of the cache.  [default: the only one]")
@click.option("--partial", is_flag=True, help="Accept a cache of a part of the split's clips.")
@click.option("--threads", type=click.IntRange(1), help="Threads; the figures do not depend on them.")
@click.option("--memory", default="2GiB", show_default=True, metavar="SIZE", help="As of `av2a search`.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Draw it: a .png, .pdf or .svg file, or a folder that gets rules.png.",
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write everything as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@examples(
    "av2a compare --annotations annotations --dataset llp --tune",
    "av2a compare llp.zarr --annotations LLP --dataset llp --rules av2a,exchange --tune --plot rules.png",
    "av2a compare llp.zarr --annotations LLP --dataset llp --config best.toml --config exchange.toml",
    "av2a compare ave.zarr --annotations AVE --dataset ave --tune --sound windows -o rules.json",
)
def compare_command(
    cache: str, annotations: Path | None, truth: Path | None, dataset: str, split: str, report_split: str,
    clips: Path | None, stream: str | None, rules: str | None, config_files: tuple[Path, ...], tune: bool,
    samples: int | None, sound: str | None, plot: Path | None, output: Path | None, as_json: bool, **how: Any,
) -> None:  # fmt: skip
    """Put the decision rules side by side: figures on one split, how far each is from the baseline, what a clip costs.

    Each rule has the settings of its --config, else its usual ones. With --tune what is not given is chosen on another
    split, over equally many settings for each rule, and then frozen. Intervals are bootstrapped over clips, those of
    differences over the same clips for both.
    """
    from feature_cache import FeatureCache
    from score import compare_rules
    from score.datasets import DATASETS
    from score.rules import find_rule
    from score.tuning.rule_entries import make_entries
    from score.tuning.rules_plot import picture_path, plot_rules

    given = [name for name in ("split", "samples") if _on_the_command_line(name)]
    if given and not tune:
        raise click.UsageError(f"--{given[0]} is of tuning: add --tune")
    picture = None if plot is None else picture_path(plot)
    if picture is not None and output is not None and picture.resolve() == output.resolve():
        raise click.UsageError("--plot and --output name the same file: choose another one")
    opened = FeatureCache.open(cache)
    entries = make_entries(None if rules is None else rules.split(","), config_files, sound)
    aside = _read_truth(dataset, annotations, truth, clips, stream, split=report_split)
    known = None if not tune else aside
    if tune and annotations is not None and report_split != split:
        known = _read_truth(dataset, annotations, truth, clips, stream, split=split)
    measures = DATASETS[dataset]
    reading = measures.reading.code if measures.from_sums is not None else None
    for rule in dict.fromkeys(entry.rule for entry in entries):
        if _announce_compiling(find_rule(rule).kernel(opened, reading)):
            break
    how |= {} if samples is None else {"samples": samples}
    with _search_progress() as progress:
        found = compare_rules(
            opened, aside, entries, tuned_on=known,
            progress=lambda name, tried, total, best: progress(tried, total, best, f"{name}: "), **how,
        )  # fmt: skip
    facts = found.to_dict()
    drawn: dict[Path, str | bytes] = {} if picture is None else {picture: plot_rules(found, picture)}
    if picture is not None and picture != plot:
        picture.parent.mkdir(parents=True, exist_ok=True)
    _write_figures(facts, output, drawn)
    if as_json:
        _print_json(facts)
        return
    _print_rules(found, tuned_here=known is aside)
    if drawn or output is not None:
        click.echo(f"written: {' '.join(str(file) for file in (*drawn, output) if file is not None)}")


# --- looking ----------------------------------------------------------------------------------------------


@main.command(short_help="Move thresholds on a page, and see events move.")
@click.argument("cache", default="features.zarr", metavar="[CACHE]")
@functools.partial(truth_options, required=False)
@click.option(
    "--split", type=click.Choice(["train", "val", "test"]), default="val", show_default=True, help="Whose figures."
)
@click.option(
    "--videos",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder that was extracted.  [default: videos, beside the cache or here]",
)
@scoring_options
@click.option("--text", metavar="NAME", help="Label set to begin with.  [default: the first]")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("best.toml"),
    show_default=True,
    help="Where the page saves settings; events go beside it.",
)
@click.option("--partial", is_flag=True, help="Accept a cache of a part of the split's clips.")
@click.option("--threads", type=click.IntRange(1), help="Threads; what is shown does not depend on them.")
@checkpoint_options
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page in the browser.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="Of the page; 0: any that is free."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Another one lets other machines in who know the token of the page's address.",
)
@examples(
    "av2a tune",
    "av2a tune llp.zarr --videos LLP/videos --annotations LLP/annotations --dataset llp --split val",
    "av2a tune --config best.toml --no-browser --port 0",
    "av2a tune --host 0.0.0.0   # for a tablet in the same network: the terminal shows the address",
)
def tune(
    cache: str, annotations: Path | None, truth: Path | None, dataset: str | None, split: str, clips: Path | None,
    stream: str | None, videos: Path | None, parameters: dict[str, Any], rule: str | None, config_file: Path | None,
    text: str | None, output: Path, partial: bool, threads: int | None, browser: bool, port: int, host: str,
    checkpoint: Path | None, clap_checkpoint: Path | None, image_model: str | None, audio_model: str | None,
) -> None:  # fmt: skip
    """Open a page on which every threshold moves the events of a clip, and the figures of a split with annotations.

    The page shows why a label is found or not, segment by segment, searches from where its sliders are, and takes new
    words; it writes settings, events and the line of `av2a score` that finds the same. Ctrl-C ends it.
    """
    try:
        from score.view.app import Tools, make_app
        from score.view.serving import Server, listening
    except ModuleNotFoundError as error:
        raise click.ClickException(f"the page needs {error.name}: pip install 'av2a[view]'") from error
    from score.datasets import find_dataset
    from score.rules import USUAL, find_rule
    from score.settings import settings_for
    from score.view.desk import Desk
    from score.view.finder import Finder
    from score.view.saving import Saving
    from score.view.words import Words

    known = None
    if dataset is not None:
        known = _read_truth(dataset, annotations, truth, clips, stream)
    elif annotations is not None or truth is not None:
        raise click.UsageError("--annotations and --truth need --dataset: whose they are")
    texts = frozenset(value for value in parameters.values() if isinstance(value, str))
    desk = Desk(cache, known, partial=partial, threads=threads, texts_allowed=texts)
    opened = desk.opened
    words = opened.text(text or opened.text_names[0])
    first = {}
    if config_file is None and known is not None and "decision" in describe(find_rule(rule or USUAL).parameters):
        first["decision"] = find_dataset(known.kind).decision
    config = desk.begun = settings_for(opened.cache, config_file, rule, **{**first, **parameters})
    files, hint = _clip_videos(desk, videos, Path(cache))
    weights = {
        "--checkpoint": checkpoint, "--clap-checkpoint": clap_checkpoint, "--image-model": image_model,
        "--audio-model": audio_model,
    }  # fmt: skip
    tools = Tools(
        desk=desk,
        finder=Finder(desk),
        saving=Saving(desk, output),
        words=Words(desk, *_label_worker(cache, opened.cache.kind, weights)),
        videos=files,
        videos_hint=hint,
        start=(config, words.name),
        line=functools.partial(_score_line, cache, output.parent, several=lambda: len(desk.opened.text_names) > 1),
        say=lambda message: in_options(message, "tune"),
        notes=tuple(note for note in (hint if files is None else "",) if note),
    )
    with listening(host, port) as listener:
        _look_once(desk, words.name, config)
        server = Server(make_app(tools), host, listener)
        server.start()
        try:
            click.echo(server.url)
            click.echo(_what_is_shown(desk, len(words.labels), files), err=True)
            if browser:
                _open_in_browser(server.url)
            server.wait(stopping.check)
        finally:
            server.stop()
            tools.words.close()
            tools.finder.stop()


def _clip_videos(desk: Any, videos: Path | None, cache: Path) -> tuple[Any, str]:
    """The videos of a cache's clips, and how to name them where there are none."""
    from score.view.videos import ClipVideos

    opened = desk.opened
    folder = videos or _videos_beside(cache)
    hint = "no videos: name the folder that was extracted, --videos DIR"
    if folder is None:
        return None, hint
    files = opened.cache.attributes.get("files", {})
    found = ClipVideos(folder, opened.clip_ids, opened.origins, files, opened.duration)
    if found.found:
        return found, hint
    if videos is not None:
        raise click.ClickException(f"{videos} has none of the cache's files, such as {opened.clip_ids[0]}: {hint[11:]}")
    return None, hint


def _label_worker(cache: str, kind: str, weights: Mapping[str, Path | str | None]) -> tuple[list[str], str]:
    """What embeds new labels beside the page, with which weights by option, and why nothing can."""
    from importlib.util import find_spec

    command = [sys.executable, "-P", "-m", "extract.label_worker", cache]
    command += [word for option, value in weights.items() if value is not None for word in (option, str(value))]
    if kind == "probabilities":
        return (
            command,
            "this cache holds a detector's probabilities of its own labels: there is nothing to embed others with",
        )
    lacking = next((name for name in ("torch", "transformers") if find_spec(name) is None), None)
    return command, f"new words need {lacking}: pip install 'av2a[extract]'" if lacking else ""


def _score_line(cache: str, folder: Path, config: Any, text: str, name: str, *, several: Callable[[], bool]) -> str:
    """The command that finds what a setting on the page does."""
    from score.rules import rule_of

    rule = rule_of(config)
    words = ["av2a", "score", cache, *(["--rule", rule.name] if rule.name != next(iter(PARAMETERS)) else [])]
    words += ["--text", text] if several() else []
    for each in describe(rule.parameters).values():
        value, option = getattr(config, each.name), f"--{each.name.replace('_', '-')}"
        if each.kind == "flag":
            words.append(option if value else f"--{each.off}")
        else:
            words += [option, str(value)]
    return shlex.join([*words, "-o", str(folder / name)])


def _look_once(desk: Any, text: str, config: Any) -> None:
    """Compile kernels and read the split before anybody waits for it."""
    from score.datasets import find_dataset
    from score.rules import rule_of

    rule, cache = rule_of(config), desk.opened.cache
    said = _announce_compiling(rule.kernel(cache, None))
    desk.clip(0, text, config)
    if desk.annotations is not None:
        dataset = find_dataset(desk.annotations.kind)
        if not said and dataset.from_sums is not None:
            _announce_compiling(rule.kernel(cache, dataset.reading.code))
        note = desk.figures(text, config)["note"]
        if note:
            click.echo(f"note: no figures: {in_options(note, 'tune')}", err=True)


def _what_is_shown(desk: Any, labels: int, videos: Any) -> str:
    from score.datasets import find_dataset

    opened, known = desk.opened, desk.annotations
    parts = [f"{opened.cache.path}: {len(opened)} clips, {labels} labels"]
    parts.append("no videos (--videos DIR)" if videos is None else f"{videos.found} of them in {videos.folder}")
    if known is not None:
        whole = find_dataset(known.kind).whole_files
        parts.append(f"figures of {_split_of(known)}, {desk.n_found} {'files' if whole else 'clips'}")
    return f"{'; '.join(parts)}. Ctrl-C ends it."


def _open_in_browser(url: str) -> None:
    """Where there is a screen."""
    import webbrowser

    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    try:
        webbrowser.open(url)
    except webbrowser.Error:
        click.echo("no browser was found: open the address above", err=True)


def _on_the_command_line(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _print_rules(found: "RulesCompared", *, tuned_here: bool) -> None:
    """The table of a comparison of rules, and what belongs below it."""
    report = found.baseline.report
    where = f"the {report.split} split" if report.split else "the truth"
    click.echo(f"{report.n_found} of {report.n_split} clips of {where}, 95 % intervals over clips")
    if tuned_here:
        click.echo(f"note: settings were chosen on {where} itself: figures on other clips will be lower")
    _table(*found.table())
    click.echo(
        f"* 0 is outside the 95 % interval of the difference ({found.resamples:,} paired resamples of the clips)"
    )
    for note in found.notes():
        click.echo(in_options(note, "compare"))


def _check_best(file: Path, store: Path, overwrite: bool) -> None:
    """A file of settings is only replaced by the search that wrote it."""
    if not file.exists() or overwrite:
        return
    if not file.is_file():
        return  # written to as it is, as /dev/null
    with file.open(encoding="utf-8-sig", errors="replace") as found:
        text = found.read(100_000)  # its first lines tell
    if text and f"# search: {_one_line(store)}" not in text.splitlines():  # an empty one is what a full disk left
        raise click.ClickException(f"{file} is there already, from elsewhere: choose another --best, or --overwrite")


def _write_best(file: Path, best: "Tried", store: Path, objective: str, where: str) -> None:
    from feature_cache.storage.atomic import write_outputs
    from score.rules import rule_of
    from score.settings import to_toml

    comments = [f"search: {_one_line(store)}", f"{objective} on {where}: {best.metrics[objective]:.2f} %"]
    comments += [inferred] if (inferred := rule_of(best.config).inferred) else []
    write_outputs({file: to_toml(best.config, comments)})


def _one_line(path: Path) -> str:
    """A path that a comment in a text file can hold, whatever its bytes."""
    return " ".join(str(path).encode("utf-8", "backslashreplace").decode().splitlines())


# --- the library's messages ---------------------------------------------------------------------------------


_COMMAND_OF = {
    "add_label_set": "text",
    "compare_rules": "compare",
    "evaluate": "evaluate",
    "export_hdf5": "export",
    "extract_videos": "extract",
    "import_features": "import",
    "list_image_models": "backbones --image-models",
    "make_demo": "demo",
    "reasons": "info --failed",
    "score": "score",
    "search": "search",
    "upgrade": "upgrade",
    "verify": "verify",
    "write_report": "report",
}
"""Commands by the function that each of them calls."""
_OTHER_NAMES = {"stitched": "stitch", "report_on": "report_split", "format": "file_format"}
"""Parameters of commands by the argument, where their names differ."""
_QUOTED_PYTHON = re.compile(r"`([^`\n]{1,300})`")


def in_options(message: str, command: str | None) -> str:
    """A message of the library with options and commands for arguments and calls; what is neither stays as it is.

    The library names an argument, or a call of a function, as Python between backquotes: `overwrite=True`,
    `verify('c.zarr', repair=True)`.

    Args:
        message: of the library.
        command: the command that runs: arguments are its options, or, where it has none of that name, another's.

    Example:
        >>> in_options("it is there: `overwrite=True`", "extract")
        'it is there: --overwrite'
    """
    first = [main.commands[command]] if command and command in main.commands else []
    return _QUOTED_PYTHON.sub(lambda found: _said(found[1], [*first, *main.commands.values()]) or found[0], message)


def _parsed(text: str) -> ast.expr | None:
    """Python between backquotes; None where it is none: names and labels may hold backquotes, too."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _said(text: str, commands: list[click.Command]) -> str | None:
    found = _parsed(text)
    if isinstance(found, ast.Call) and isinstance(found.func, ast.Name) and found.func.id in _COMMAND_OF:
        return _call(found.func.id, found)
    return _argument(text, commands) if found is None or isinstance(found, ast.Name) else None


def _argument(text: str, commands: list[click.Command]) -> str | None:
    """`name=value`, or `name` alone, as an option."""
    name, _, value = text.partition("=")
    if not name.isidentifier():
        return None
    given = _parsed(value) if value else None
    if value and given is None:
        return None
    return next((said for command in commands if (said := _option(name, given, command))), None)


def _call(name: str, found: ast.Call) -> str:
    """A call as a command line between backquotes."""
    command = main.commands[_COMMAND_OF[name].split()[0]]
    words = ["av2a", *_COMMAND_OF[name].split()]
    words += [shlex.quote(_word(each)) for each in found.args if not _left_out(each)]
    for keyword in found.keywords:
        option = _option(keyword.arg or "", keyword.value, command)
        if option is not None:
            words.append(option)
    return f"`{' '.join(words)}`"


def _option(name: str, value: ast.expr | None, command: click.Command) -> str | None:
    for parameter in command.params:
        if not isinstance(parameter, click.Option) or parameter.name != _OTHER_NAMES.get(name, name):
            continue
        no = isinstance(value, ast.Constant) and value.value is False
        flags = parameter.secondary_opts if no and parameter.secondary_opts else parameter.opts
        flag = max(flags, key=len)
        if value is None or parameter.is_flag:
            return flag
        return f"{flag} {_word(value)}"
    return None


def _left_out(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is ...


def _word(value: ast.expr) -> str:
    return str(value.value) if isinstance(value, ast.Constant) else ast.unparse(value)


# --- what people see ------------------------------------------------------------------------------------


def _print_config(
    config: Any, backbone: str, parameters: Mapping[str, Any], config_file: Path | None,
    after_processing: Mapping[str, float],
) -> None:  # fmt: skip
    from score.rules import USUAL, rule_of

    rule = rule_of(config)
    origin = str(config_file) if config_file else f"published for {backbone}" if rule.name == USUAL else "defaults"
    parts = [f"{name}={value}" + (" (given)" if name in parameters else "") for name, value in config.to_dict().items()]
    parts += [f"{name}={value} (given)" for name, value in after_processing.items()]
    name = "" if rule.name == USUAL else f"rule {rule.name}, "
    click.echo(f"{name}settings ({origin} unless given): " + " ".join(parts))
    if rule.inferred:
        click.echo(f"note: {rule.inferred}")


_PAPER_PROTOCOL = "paper protocol: visual predictions stand in for the audio ones, as in the official script"


def _split_of(known: "Annotations | Report") -> str:
    return f"the {known.split} split" if known.split else "the truth"


def _print_report(report: "Report", per_class: bool) -> None:
    click.echo(f"{report.n_found} of {report.n_split} clips of {_split_of(report)}")
    if report.paper_protocol:
        click.echo(_PAPER_PROTOCOL)
    if report.ignored:
        click.echo(f"{report.ignored} {report.left_out} were left out")
    for note in report.notes:
        click.echo(note)
    if report.inferred:
        click.echo(f"note: {report.inferred}")
    for header, rows in report.tables(per_class=per_class):
        _table(header, rows)


def _shown(text: str) -> str:
    return escaped(text, keep="\n\t")


def _say(line: str) -> None:
    """A line on standard error, above a bar if there is one."""
    if not _bars:
        click.echo(line, err=True)
        return
    from rich.text import Text

    _bars[-1].print(Text(_shown(line)), soft_wrap=True)


def _json(value: Any) -> str:
    """JSON in ASCII, of which nothing has to be escaped for a terminal."""
    return json.dumps(value, indent=1).replace("\x7f", "\\u007f")


def _print_json(value: Any) -> None:
    click.echo(_json(value))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return escaped(text if len(text) <= 200 else text[:197] + "...")


def _announce_compiling(kernel: str) -> bool:
    """The first call of a kernel on a machine takes a while; returns whether it will."""
    from score.kernels.jit import compiling_note

    note = compiling_note(kernel)
    if note is not None:
        click.echo(note, err=True)
    return note is not None


_TEXT_COLUMNS = {"what", "checkpoints", "needs", "tags", "value", "by", "probabilities"}
_TEXT_WIDTH, _SHORT_WIDTH = 24, 6


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; in a narrow terminal with headings broken between their words, then shortened, then as lines.

    Cells are no markup: what a person called `[red]` or `:dog:` is shown so.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    out = getattr(sys.stdout, "plain", sys.stdout)
    console = Console(file=out) if out.isatty() else Console(file=out, width=120, color_system=None)
    cells = [[_cell(cell) for cell in row] for row in rows]
    texts = [number for number, name in enumerate(header) if name in _TEXT_COLUMNS or not number]
    widths = [
        max((len(line) for row in cells for line in row[number].split("\n")), default=0)
        for number in range(len(header))
    ]
    headings = _headings(header, widths, texts, console.width)
    if headings is None:
        for row in cells:
            console.print(Text(", ".join(f"{name} {cell}" for name, cell in zip(header, row, strict=True))))
        return
    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False)
    for number, name in enumerate(headings):
        text = number in texts
        table.add_column(
            Text(name),
            justify="left" if text else "right",
            overflow="fold",
            no_wrap=not text or header[number] in ("checkpoints", "tags"),
        )
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def _cell(value: object) -> str:
    """A number with one digit, "-" where it is not defined, or text."""
    if isinstance(value, float):
        return "-" if value != value else f"{value:.1f}"
    return _shown(str(value))


def _headings(header: Sequence[str], widths: Sequence[int], texts: Sequence[int], room: int) -> list[str] | None:
    """The headings of columns with cells of these widths, made to fit; None where the cells alone do not.

    Args:
        header: the headings.
        widths: of the widest cell of each column.
        texts: numbers of columns of text, which may fold: they need no more than a few words' width.
        room: columns of the terminal.
    """
    room -= 3 * (len(header) - 1)  # what stands between columns
    parts = [re.findall(r"[^ _-]+[ _-]*", name) or [name] for name in header]
    least = [min(width, _TEXT_WIDTH) if number in texts else width for number, width in enumerate(widths)]
    whole = [max(width, len(name)) for width, name in zip(least, header, strict=True)]
    broken = [max(width, *map(len, names)) for width, names in zip(least, parts, strict=True)]
    short = [max(width, min(_SHORT_WIDTH, *map(len, names))) for width, names in zip(least, parts, strict=True)]
    for wanted in (whole, broken, short):
        if sum(wanted) <= room:
            return [_broken(names, width) for names, width in zip(parts, wanted, strict=True)]
    return None


def _broken(parts: Sequence[str], width: int) -> str:
    """Words of a heading in lines of a width; a longer word ends in an ellipsis."""
    lines = [""]
    for part in parts:
        word = part if len(part) <= width else part.rstrip(" _-")
        word = word if len(word) <= width else word[: width - 1] + "…"
        if len(lines[-1] + word) > width and lines[-1]:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


@contextmanager
def _search_progress() -> "Iterator[Callable[..., None]]":
    """A bar with settings a second and the best so far; call with (tried, all, best), and of which rule that is."""
    with _bar("searching", rate=True) as update:

        def show(tried: int, total: int, best: float, of: str = "") -> None:
            stopping.check(begun=True)
            update(tried, total, lambda elapsed: f"{tried / elapsed:,.0f} settings/s, {of}best {best:.2f} %")

        yield show


@contextmanager
def _progress(what: str) -> "Iterator[Callable[[int, int], None]]":
    """A bar; call with (done, total)."""
    with _bar(what) as update:

        def show(done: int, total: int) -> None:
            stopping.check(begun=True)
            update(done, total, lambda _: "")

        yield show


_bars: "list[Console]" = []
"""Where the bar is drawn, while there is one."""


@contextmanager
def _bar(what: str, rate: bool = False) -> "Iterator[Callable[[int, int, Callable[[float], str]], None]]":
    """A bar on standard error, nothing where that is no terminal; call with (done, total, words about the seconds)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=getattr(sys.stderr, "plain", sys.stderr))
    words = [TextColumn("{task.fields[rate]}", markup=False)] if rate else []
    with Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), *words,
        TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal,
        redirect_stdout=False, redirect_stderr=False,  # it would print what others write as it is
    ) as bar:  # fmt: skip
        task = bar.add_task(what, total=None, rate="")

        def update(done: int, total: int, said: Callable[[float], str]) -> None:
            bar.update(task, completed=done, total=total, rate=said(bar.tasks[0].elapsed or 1e-9))

        if console.is_terminal:
            _bars.append(console)
        try:
            yield update
        finally:
            _bars.clear()


if __name__ == "__main__":
    main()
