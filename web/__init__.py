"""The tower window: the dashboard's pages over the server's services (imported as ``orchestrator.web``)."""

if __name__ == "web":
    raise ImportError("import orchestrator.web: as a top-level package this would shadow your own folders")
