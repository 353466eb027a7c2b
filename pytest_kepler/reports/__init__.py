"""Reports: rows in, text out; for the terminal, as Markdown and as JSON."""
