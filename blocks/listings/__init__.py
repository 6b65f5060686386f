"""What storages share that are looked through: files that came, changed and went since the last look."""

from .files import ObservedFiles, Place
from .index import IndexReader, IndexWriter, TooLarge

__all__ = ["IndexReader", "IndexWriter", "ObservedFiles", "Place", "TooLarge"]
