"""The server of `av2a tune`: who is answered, what is written, and that nothing makes it stop."""

import http.client
import json
import random
import shlex
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feature_cache import FeatureCache
from score.rules import RULES
from score.settings import read_parameters
from score.view.guard import COOKIE, MOST_BYTES
from tests.command import PATIENCE_SECONDS, av2a, refusal
from tests.golden_scoring import GoldenSet
from tests.view.live import Live, tuning

WITH_TRUTH = ("--annotations", "llp", "--dataset", "llp", "--split", "test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of golden clips, their annotations, and a file for the first clip that stands for a video."""
    found = tmp_path_factory.mktemp("server")
    GoldenSet.load("language_bind_llp").make_cache(found / "features.zarr")
    GoldenSet.write_annotations(found / "llp")
    (found / "videos").mkdir()
    first = FeatureCache.open(found / "features.zarr").clip_ids[0]
    (found / "videos" / f"{first}.mp4").write_bytes(bytes(range(256)) * 40)
    (found / "secret.mp4").write_bytes(b"secret")
    return found


@pytest.fixture(scope="module")
def live(folder: Path) -> Iterator[Live]:
    with tuning(*WITH_TRUTH, "--threads", "2", cwd=folder) as found:
        yield found


def setting(state: Any, rule: str = "av2a", **changes: Any) -> dict[str, Any]:
    return {
        "text": state["text"], "setting": {"rule": rule, "parameters": {**state["usual"][rule], **changes}},
    }  # fmt: skip


def test_the_page_and_its_parts(live: Live) -> None:
    page = live.ask("/")
    assert page.status == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "@NONCE@" not in page.body.decode()
    nonce = policy.split("'nonce-")[1].split("'")[0]
    assert nonce in page.body.decode()
    assert nonce not in live.ask("/").body.decode()
    found = live.ask("/vendor/uplot/uPlot.esm.js")
    assert (found.status, found.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert found.headers["x-content-type-options"] == "nosniff"


def test_what_the_page_shows_and_what_the_command_writes_are_equal(live: Live, folder: Path) -> None:
    """Byte for byte, for every rule: the line that the page gives is run as it is."""
    state = live.state()
    changes: dict[str, dict[str, Any]] = {
        "av2a": {"alpha": 0.1 + 0.2, "refinement": False, "method": "naive"},
        "exchange": {"cost": 0.3, "fusion": "early"},
        "scope": {"memory_seconds": 3.0}, "threshold": {"smoothing": "runs", "run_penalty": 1e-7},
    }  # fmt: skip
    for rule in RULES:
        said = setting(state, rule, **changes.get(rule, {}))
        name, again = f"{rule}.json", f"{rule}_again.json"
        written = live.ask("/api/events", {**said, "name": name}).json()
        assert written["written"] == [name]
        line = shlex.split(live.ask("/api/command", {**said, "name": again}).json()["line"])
        assert line[:3] == ["av2a", "score", "features.zarr"]
        done = av2a(*line[1:], cwd=folder)
        assert done.code == 0, done.err
        assert (folder / name).read_bytes() == (folder / again).read_bytes()
        whole = json.loads((folder / name).read_bytes())
        assert len(whole["events"]) == written["events"] > 0
        shown = live.ask("/api/clip", {"seq": 1, "page": rule, "clip": 0, **said}).json()["events"]
        mine = [each for each in whole["events"] if each["clip"] == state["clips"][0]["id"]]
        labels = state["texts"][0]["labels"]
        assert [[labels[event[1]], *event[2:]] for event in shown] == [
            [each["label"], each["onset"], each["offset"], each["score"]] for each in mine
        ]


def test_settings_that_are_saved_are_read_again(live: Live, folder: Path) -> None:
    said = setting(live.state(), "exchange", cost=0.123)
    assert live.ask("/api/save", said).json() == {"path": "best.toml"}
    rule, found = read_parameters(folder / "best.toml")
    assert {"rule": rule, "parameters": found} == said["setting"]
    assert live.ask("/api/save", setting(live.state())).status == 200  # its own file
    assert read_parameters(folder / "best.toml")[0] == "av2a"


def test_files_of_others_are_not_replaced_unasked(live: Live, folder: Path) -> None:
    (folder / "mine.csv").write_text("mine")
    said = {**setting(live.state()), "name": "mine.csv"}
    found = live.ask("/api/events", said)
    assert (found.status, found.json()["exists"]) == (409, True)
    assert (folder / "mine.csv").read_text() == "mine"
    assert live.ask("/api/events", {**said, "overwrite": True}).status == 200
    assert (folder / "mine.csv").read_text() != "mine"
    (folder / "three_audio.tsv").write_text("mine")
    assert live.ask("/api/events", {**said, "name": "three.tsv"}).status == 409


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x.json",
        "a/b.json",
        "/tmp/x.json",
        ".hidden.json",
        "a\0.json",
        "x" * 500,
        "x.docx",
        "best.toml",
    ],
)
def test_names_that_are_none(live: Live, name: str) -> None:
    found = live.ask("/api/events", {**setting(live.state()), "name": name})
    assert found.status == 400
    assert "\n" not in found.json()["error"]


def test_files_are_had_by_clip_and_by_range(live: Live) -> None:
    whole = live.ask("/media/0")
    assert (whole.status, whole.headers["content-type"]) == (200, "video/mp4")
    some = live.ask("/media/0", headers={"Range": "bytes=10-19"})
    assert (some.status, some.body) == (206, whole.body[10:20])
    assert live.ask("/media/0", headers={"Range": "bytes=999999-"}).status == 416
    assert live.ask("/media/1").status == 404  # it has no file


@pytest.mark.parametrize(
    "path",
    [
        "/media/..%2f..%2fsecret.mp4", "/media/0/../../secret.mp4", "/page/../../../pyproject.toml",
        "/vendor/%2e%2e/app.py", "/page/tune/%00", "/media/99999999999999999999999", "/media/-1",
        "/page//etc/passwd", "/nothing", "/api/nothing",
        "/page/%ff%fe",
    ],
)  # fmt: skip
def test_nothing_else_is_had(live: Live, path: str) -> None:
    found = live.ask(path)
    assert found.status == 404
    assert b"secret" not in found.body


HOSTS = ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", ""]


@pytest.mark.parametrize("host", HOSTS)
def test_other_names_of_this_machine_are_refused(live: Live, host: str) -> None:
    """As where somebody's name is made to lead here (DNS rebinding)."""
    found = live.ask("/api/state", headers={"Host": host.format(port=live.address[1])})
    assert found.status in (400, 421)
    assert b"features" not in found.body


def test_names_of_this_machine(live: Live) -> None:
    for name in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
        assert live.ask("/api/alive", headers={"Host": f"{name}:{live.address[1]}"}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)  # fmt: skip
def test_other_sites_pages_are_refused(live: Live, headers: dict[str, str]) -> None:
    said = {**setting(live.state()), "name": "evil.json"}
    assert live.ask("/api/events", said, headers=headers).status == 403
    own = f"http://127.0.0.1:{live.address[1]}"
    assert live.ask("/api/command", said, headers={"Origin": own, "Sec-Fetch-Site": "same-origin"}).status == 200


def test_a_link_of_another_site_may_open_the_page(live: Live) -> None:
    assert live.ask("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}).status == 200


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "text/plain"}, b"{}", 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"a=1", 415),
        ({}, b"", 400), ({}, b"{", 400), ({}, b"[]", 400), ({}, b"\xff\xfe", 400), ({}, b"[" * 5000, 400),
        ({}, b'{"seq": NaN}', 400), ({}, b" " * (MOST_BYTES + 1), 413),
    ],
)  # fmt: skip
def test_bodies_that_are_none(live: Live, headers: dict[str, str], body: bytes, status: int) -> None:
    assert live.ask("/api/clip", body=body, headers=headers, method="POST").status == status


def test_a_body_that_says_no_length(live: Live) -> None:
    connection = http.client.HTTPConnection(*live.address, timeout=PATIENCE_SECONDS)
    parts = (b" " * 65536 for _ in range(MOST_BYTES // 65536 + 2))
    headers = {"Content-Type": "application/json"}
    try:
        connection.request("POST", "/api/clip", parts, headers, encode_chunked=True)
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
        pass
    finally:
        connection.close()
    assert live.ask("/api/alive").status == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods(live: Live, method: str) -> None:
    assert live.ask("/api/state", method=method).status == 405


def test_too_many_at_a_time(live: Live) -> None:
    """Some are told to wait; later ones are answered."""
    connection = http.client.HTTPConnection(*live.address, timeout=PATIENCE_SECONDS)
    seen: set[int] = set()
    for _ in range(5000):
        connection.request("GET", "/nothing")
        answer = connection.getresponse()
        answer.read()
        seen.add(answer.status)
        if 429 in seen:
            break
    connection.close()
    assert seen <= {404, 429}
    assert live.ask("/api/alive").status == 200


def test_older_requests_are_not_answered_after_newer_ones(live: Live) -> None:
    said = setting(live.state())
    assert live.ask("/api/figures", {"seq": 5, "page": "tab", **said}).json()["seq"] == 5
    found = live.ask("/api/figures", {"seq": 4, "page": "tab", **said})
    assert (found.status, found.json()) == (409, {"stale": True, "seq": 4})


def test_errors_speak_of_options(live: Live) -> None:
    found = live.ask("/api/clip", {"clip": 0, **setting(live.state(), "threshold", median=4, smoothing="median")})
    assert (found.status, found.json()["error"]) == (400, "median must be odd, got 4")
    missing = live.ask("/api/clip", {"clip": 0, "text": "nothing", "setting": live.state()["setting"]})
    assert missing.status == 400
    assert "nothing" in missing.json()["error"]


@pytest.mark.parametrize("seed", range(4))
def test_malformed_requests_leave_it_serving(live: Live, seed: int) -> None:
    """250 each: bytes of all kinds, and requests with parts changed."""
    rng = random.Random(seed)
    good = (
        f"POST /api/clip HTTP/1.1\r\nHost: 127.0.0.1:{live.address[1]}\r\nContent-Type: application/json\r\n"
        'Content-Length: 28\r\n\r\n{"clip": 0, "setting": null}'
    ).encode()
    for _ in range(250):
        with socket.create_connection(live.address, timeout=PATIENCE_SECONDS) as found:
            try:
                found.sendall(mutated(good, rng))
                if rng.random() < 0.5:
                    found.shutdown(socket.SHUT_WR)
                    found.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                pass
    assert live.state()["cache"]["path"] == "features.zarr"


def mutated(good: bytes, rng: random.Random) -> bytes:
    kind = rng.randrange(5)
    if kind == 0:
        return rng.randbytes(rng.randrange(1, 400))
    if kind == 1:
        return good[: rng.randrange(len(good))]
    if kind == 2:
        lines = good.split(b"\r\n")
        lines[rng.randrange(len(lines))] = rng.randbytes(rng.randrange(60))
        return b"\r\n".join(lines)
    if kind == 3:
        return good.replace(b"Content-Length: 28", f"Content-Length: {rng.choice([-1, 10**30, 'x', 0, 5])}".encode())
    changed = bytearray(good)
    for _ in range(rng.randrange(1, 8)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def test_other_addresses_need_a_token(folder: Path) -> None:
    with tuning("--host", "0.0.0.0", cwd=folder) as live:
        path, _, token = live.url.partition("?token=")
        assert len(token) >= 16
        assert path.startswith("http://")
        assert "0.0.0.0" not in path  # no browser of another machine opens that
        assert live.ask("/api/state").status == 401
        assert live.ask("/").status == 401
        assert live.ask("/api/state", headers={"X-Av2a-Token": "wrong"}).status == 401
        assert live.ask("/api/state", headers={"X-Av2a-Token": token}).status == 200
        page = live.ask(f"/?token={token}")
        assert page.status == 200
        kept = page.headers["set-cookie"]
        assert "HttpOnly" in kept
        assert "SameSite=Strict" in kept
        name = f"{COOKIE}-{live.address[1]}"  # a browser has one set of cookies for all ports of a machine
        assert kept.startswith(f"{name}=")
        assert live.ask("/media/0", headers={"Cookie": f"{name}={token}"}).status == 200
        assert live.ask("/media/0", headers={"Cookie": f"{name}=other"}).status == 401
        assert live.ask("/media/0", headers={"Cookie": f"{COOKIE}-1={token}"}).status == 401


def test_a_port_that_is_in_use(folder: Path, live: Live) -> None:
    line = refusal("tune", "--no-browser", "--port", live.address[1], cwd=folder)
    assert f"port {live.address[1]}" in line
    assert "--port 0" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing.zarr",), "nothing.zarr"),
        (("--videos", "nowhere"), "nowhere"),
        (("--videos", "llp"), "none of the cache's files"),
        (("--host", "no such host"), "no address"),
        (("--alpha", "0.5", "--text", "nothing"), "nothing"),
        (("--annotations", "elsewhere", "--dataset", "llp"), "elsewhere"),
        (("--rule", "exchange", "--gamma", "1"), "--gamma"),
    ],
)
def test_what_cannot_be_opened(folder: Path, words: tuple[str, ...], said: str) -> None:
    line = refusal("tune", *words, "--no-browser", "--port", 0, cwd=folder)
    assert said in line


def test_annotations_need_to_say_whose_they_are(folder: Path) -> None:
    assert "--dataset" in refusal("tune", "--annotations", "llp", cwd=folder, code=2)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_a_signal_ends_it(folder: Path) -> None:
    with tuning(cwd=folder) as live:
        connection = http.client.HTTPConnection(*live.address, timeout=PATIENCE_SECONDS)
        connection.request("GET", "/api/alive")
        connection.getresponse().read()  # a browser keeps it open
        live.process.send_signal(signal.SIGINT)
        assert live.process.wait(PATIENCE_SECONDS) == 130
        connection.close()
        assert "what was saved is kept" in (folder / "tune.err").read_text()
