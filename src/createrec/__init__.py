"""CREATE (arXiv 2602.23471): cross-representation knowledge transfer for sequential recommendation."""

__version__ = "0.1.0"
