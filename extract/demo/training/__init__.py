"""Training of the `tiny` backbone's weights from made pictures and sounds; docs/tiny.md tells how it went.

Run it with `python -m extract.demo.training`. Everything is drawn from seeds at or above
`extract.demo.script.FIRST_TRAINING_SEED`, which no demo clip can have.
"""
