"""From a raw file to a table: one file per format, and `catalogue.read` in front of them."""
