"""``make bench``: measures Dossier beside the usual alternatives, and writes docs/benchmarks.md."""
