"""Values: as JSON, as parameters, as fingerprints."""
