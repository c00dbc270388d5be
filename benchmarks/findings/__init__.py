"""Tables and figures of docs/findings.md, computed from trial files."""
