"""Reports: Markdown tables and pictures."""
