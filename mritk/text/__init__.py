"""Text for people: tables, Markdown, LaTeX, natural order, names that a terminal may show."""
