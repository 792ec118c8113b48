"""Files from strangers: none runs code, none leads out of its folder, no video is a list of other files."""

import json
import os
import pickle
import shutil
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest

from extract import ExtractError, MediaError, resolve_labels
from extract.backbones.pixels import fit_frames
from extract.media.clip import Views, decode_clip
from extract.run.clip_plan import Cut, plan_clips
from feature_cache import CacheError, FeatureCache
from feature_cache.chunks import pack
from feature_cache.seals import digest_of, group_json
from tests.command import av2a, refusal
from tests.golden_scoring import GoldenSet
from tests.media import make_video

# --- videos that are lists of other files ---------------------------------------------------------------


@pytest.fixture
def address() -> Iterator[tuple[str, list[str]]]:
    """A server that notes who asks."""
    asked: list[str] = []

    class Noting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Noting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


LISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{what}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{what}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nt=0 0\na=control:{what}\nm=video 5004 RTP/AVP 96\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT10S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="0" '
    'bandwidth="1"><BaseURL>{what}</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "rtsp": "[Reference]\nRef1={what}\n",
}


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("kind", LISTS)
def test_a_list_is_no_video(kind: str, name: str, address: tuple[str, list[str]], tmp_path: Path) -> None:
    url, asked = address
    (tmp_path / "elsewhere").mkdir()
    secret = make_video(tmp_path / "elsewhere" / "secret.mp4")
    for what in (f"{url}/x.mp4", str(secret), "elsewhere/secret.mp4"):
        path = tmp_path / name
        path.write_text(LISTS[kind].format(what=what))
        assert name.split(".")[0] in plan_clips({"a": path}, Cut()).refused
        with pytest.raises(MediaError, match="cannot be read"):
            decode_clip(path, views=Views(partial(fit_frames, size=8)), sample_rate=16_000)
    assert not asked


NAMES = ["-i.mp4", "%03d.mp4", "a b'.mp4"]
if sys.platform != "win32":  # where no file has such a name
    NAMES += ["concat:a|b.mp4", "http:x.mp4", 'a b".mp4', "data:,x.mp4"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "plain.mp4").rename(name)
    media = decode_clip(Path(name), views=Views(partial(fit_frames, size=8)), sample_rate=16_000)
    assert media.frame_count == 50


# --- caches ---------------------------------------------------------------------------------------------


class Bomb:
    """What runs a command as soon as it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    path = tmp_path / "features.zarr"
    GoldenSet.load("clip_clap_llp").make_cache(path)
    return path


def change(file: Path, **values: Any) -> None:
    found = json.loads(file.read_text())
    found.update(values)
    file.write_text(json.dumps(found))


def reseal(cache: Path, **changed: dict[str, Any]) -> None:
    """Whoever can write can seal: other values in tables of the root, sealed again."""
    said = json.loads((cache / "zarr.json").read_text())["attributes"]
    del said["seal"]
    for name, more in changed.items():
        said[name] = {**said[name], **more}
    (cache / "zarr.json").write_bytes(group_json(said))


def test_an_array_of_objects_is_not_read(cache: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    objects = np.empty(1, dtype=object)
    objects[0] = Bomb(marker)
    raw = numcodecs.Pickle().encode(objects)
    shutil.rmtree(cache / "image")
    (cache / "image").mkdir()
    (cache / "image" / "0").write_bytes(raw)
    (cache / "image" / ".zarray").write_text(
        json.dumps({
            "zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "compressor": None, "fill_value": None,
            "order": "C", "filters": [{"id": "pickle", "protocol": 5}],
        })
    )  # fmt: skip
    assert "is damaged (image/zarr.json: it is missing)" in refusal("score", cwd=tmp_path)
    assert av2a("verify", cwd=tmp_path).code == 1
    assert "is damaged (image/zarr.json: it is missing)" in refusal("export", cwd=tmp_path)
    assert not marker.exists()
    pickle.loads(raw)  # the bomb is one
    assert marker.exists()


@pytest.mark.parametrize("codec", ["numcodecs.pickle", "os.system", "numcodecs.json2"])
def test_unknown_codecs_are_refused(codec: str, cache: Path, tmp_path: Path) -> None:
    change(cache / "image" / "zarr.json", codecs=[{"name": codec, "configuration": {}}])
    assert "image/zarr.json: it is not as it was written" in refusal("score", cwd=tmp_path)
    assert av2a("export", "-o", "sound.h5", cwd=tmp_path).code == 1
    reseal(cache, files={"image/zarr.json": [digest_of((cache / "image" / "zarr.json").read_bytes())]})
    assert av2a("score", cwd=tmp_path).code == 0  # what a stranger names is never looked for


@pytest.mark.skipif(sys.platform == "win32", reason="making links is a privilege on Windows")
def test_nothing_is_written_where_a_link_leads(cache: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(cache / "image", outside)
    shutil.rmtree(cache / "image")
    (cache / "image").symlink_to(outside)
    chunk = outside / "c" / "0" / "0" / "0"
    data = bytearray(chunk.read_bytes())
    data[30] ^= 1
    chunk.write_bytes(data)
    there = {file: file.read_bytes() for file in outside.rglob("*") if file.is_file()}
    assert "image/c/0/0/0 lies elsewhere, where a link leads" in refusal("verify", "--repair", cwd=tmp_path)
    opened = FeatureCache.open(cache, "r+")
    first = opened.shard_rows(0)
    features = GoldenSet.load("clip_clap_llp").make_cache(tmp_path / "other.zarr").read(list(first))
    with pytest.raises(CacheError, match="lies elsewhere"):
        opened.write_shard(0, features.image, features.video, features.audio, [1] * len(first))
    assert there == {file: file.read_bytes() for file in outside.rglob("*") if file.is_file()}


@pytest.mark.parametrize("thing", ["/dev/zero", "pipe"])
def test_devices_and_pipes_are_not_read(thing: str, cache: Path, tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no devices or pipes among its files")
    chunk = cache / "image" / "c" / "0" / "0" / "0"
    chunk.unlink()
    if thing == "pipe":
        os.mkfifo(chunk)
    else:
        chunk.symlink_to(thing)
    assert "image/c/0/0/0 is neither a file nor a folder" in refusal("score", cwd=tmp_path)


@pytest.mark.parametrize("name", ["\x1b[31mred", "two\nlines", ""])
def test_names_that_would_write_to_the_terminal(name: str, cache: Path, tmp_path: Path) -> None:
    before = (cache / "zarr.json").read_bytes()
    raw = "\n".join([name, *FeatureCache.open(cache).clip_ids[1:]]).encode()
    there = (cache / "clip_ids_1" / "c" / "0").read_bytes()
    (cache / "clip_ids_1" / "c" / "0").write_bytes(pack(np.frombuffer(raw, dtype=np.uint8)))
    reseal(cache, clips={"ids": {"array": "clip_ids_1", "bytes": len(raw), "digest": digest_of(raw)}})
    line = refusal("info", cwd=tmp_path)
    assert ("is no clip id" in line) or ("\n" in name and "ids, expected" in line)
    (cache / "zarr.json").write_bytes(before)
    (cache / "clip_ids_1" / "c" / "0").write_bytes(there)
    file = cache / "text" / "llp" / "zarr.json"
    labels = json.loads(file.read_text())["attributes"]
    del labels["seal"]
    file.write_bytes(group_json({**labels, "labels": [name, *labels["labels"][1:]]}))
    reseal(cache, label_sets={"llp": [digest_of(file.read_bytes())]})
    assert "is no label" in refusal("score", cwd=tmp_path)


def test_labels_that_would_write_to_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("dog\nca\x1b[31mt\n")
    with pytest.raises(ExtractError, match=r"'ca\\x1b\[31mt' is no label"):
        resolve_labels(str(tmp_path / "labels.txt"))


def test_clip_ids_and_labels_are_no_paths(cache: Path, tmp_path: Path) -> None:
    """Only names in outputs, never files."""
    place = tmp_path / "a" / "b"
    place.mkdir(parents=True)
    sound = FeatureCache.open(cache)
    features, text = sound.read(), sound.text()
    FeatureCache.from_arrays(
        place / "features.zarr", clip_ids=["../../up", *sound.clip_ids[1:]], backbone=sound.backbone,
        image=features.image, video=features.video, audio=features.audio,
    ).add_text("llp", labels=text.labels, visual=text.visual, audio=text.audio)  # fmt: skip
    shutil.rmtree(cache)
    before = {*tmp_path.rglob("*")}
    for words in (["score"], ["score", "-o", "e.csv"], ["export"], ["info"]):
        assert av2a(*words, cwd=place).code == 0
    assert {*tmp_path.rglob("*")} - before == {place / "events.json", place / "e.csv", place / "features.h5"}
