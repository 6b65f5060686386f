"""The tests: unit/ mirrors the package, the rest is grouped by what it stands on."""
