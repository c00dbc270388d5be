"""Tables of stored trials: rows, columns, footnotes and formats."""
