"""Models of AWS at the level of boto3's clients: exactly the calls that Dossier makes, and no other.

Each is a fake that keeps its state in memory. ``Wire`` carries the calls: there the scheduler switches, delays,
repeats, fails or kills.
"""
