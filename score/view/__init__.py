"""What a person sees: a report to send (docs/report.md), and a page where thresholds move events (docs/tune.md)."""
