"""A project's folder: what it holds, how it is loaded, kept and deployed."""
