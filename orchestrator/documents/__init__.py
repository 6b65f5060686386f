"""What is written down and crosses the wire: records, documents, templates."""
