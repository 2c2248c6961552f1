"""One run: built from its configuration, fitted stage by stage, tested, written to its directory."""
