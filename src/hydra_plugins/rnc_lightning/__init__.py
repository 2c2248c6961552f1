"""Found by Hydra through the namespace package `hydra_plugins`; light to import, since that happens at every start."""
