"""One command a file: parse, load, one call, save."""
