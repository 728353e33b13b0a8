"""How much Dossier does with AWS's default quotas: ``make scale`` simulates it and writes docs/scale.md."""
