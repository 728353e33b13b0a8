"""The tests of ``make bench``: each part runs with tiny sizes, and counts what it says."""
