"""examples"""

if __name__ == "examples":
    raise ImportError("import orchestrator.examples")
