"""web"""

if __name__ == "web":
    raise ImportError("import orchestrator.web")
