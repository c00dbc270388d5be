"""The tables of docs/findings.md, from the commands that it shows."""
