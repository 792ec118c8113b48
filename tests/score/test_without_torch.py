"""Stage 2 imports no PyTorch; `tests/cli/test_dist.py` runs it where none is installed."""

import subprocess
import sys


def test_scoring_imports_no_torch() -> None:
    code = (
        "import sys; from score import Annotations, Events, evaluate, score; import score.tuning.sweeper;"
        "import score.view.app, score.view.serving;"
        "print(sorted({'torch', 'transformers', 'open_clip', 'av', 'extract'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
