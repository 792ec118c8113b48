"""How kernels are compiled and kept."""

from pathlib import Path

from score.kernels.jit import drop_stale


def test_kernels_of_other_sources_are_dropped(tmp_path: Path) -> None:
    compiled = tmp_path / "__pycache__" / "a.f-1.py311.nbi"
    compiled.parent.mkdir()
    (tmp_path / "a.py").write_text("A = 1\n")
    compiled.write_bytes(b"old")
    drop_stale(tmp_path)
    assert not compiled.exists()
    compiled.write_bytes(b"new")
    drop_stale(tmp_path)
    assert compiled.read_bytes() == b"new"
    (tmp_path / "b.py").write_text("B = 2\n")
    drop_stale(tmp_path)
    assert not compiled.exists()
