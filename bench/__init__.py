"""``make bench``: measures Dossier beside what people would do instead, and writes docs/benchmarks.md."""
