"""The rules and metrics of docs/design.md 4 in plain NumPy, slow and obviously right."""
