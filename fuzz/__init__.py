"""Coverage-guided fuzzing of foreign input: ``make fuzz``.

``targets`` has the targets and their promises, ``seeds`` the first inputs; ``one`` fuzzes one target with atheris, and
``__main__`` all of them for a while. ``found`` stores each input that ever broke a promise; ``make test`` replays these
and the seeds.
"""
