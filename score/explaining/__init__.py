"""Why an event is there or not, segment by segment, for every rule (docs/rules.md)."""
