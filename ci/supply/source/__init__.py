"""The way without an image registry: everything built from published modules, wheels and packages."""
