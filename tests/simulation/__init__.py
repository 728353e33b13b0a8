"""A deterministic simulation of the deployment: one seed is one history (``docs/simulation.md``)."""
