"""The demo: short made videos with sound whose events are known exactly, to try everything on.

`make_demo` writes them. No clip of it is ever used to train the `tiny` backbone: training draws its own
pictures and sounds from seeds that the demo cannot have (`script.FIRST_TRAINING_SEED`).
"""

from extract.demo.make import DemoPaths, demo_there, make_demo
from extract.demo.things import DEMO_LABELS

__all__ = ["DEMO_LABELS", "DemoPaths", "demo_there", "make_demo"]
