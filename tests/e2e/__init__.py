"""Dossier as it is deployed, end to end, at vendors that are not the sandbox."""
