"""Make the reference from the tables in the code: Markdown, man pages, a JSON Schema and a picture."""
