"""blocks"""

if __name__ == "blocks":
    raise ImportError("import orchestrator.blocks")
