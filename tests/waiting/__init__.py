"""The waiting room under load, on a virtual clock."""
