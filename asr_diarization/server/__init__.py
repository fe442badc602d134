"""Door 2: the HTTP server, with our own routes, OpenAI's, the page and the metrics."""
