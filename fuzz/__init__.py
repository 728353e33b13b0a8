"""Coverage-guided fuzzing of what strangers write: ``make fuzz``.

``targets`` says what is fuzzed and what must hold, ``seeds`` what it begins with, ``one`` fuzzes one target with
atheris, ``__main__`` runs them all for a while. ``found`` keeps each input that ever broke a promise; ``make test``
replays these and the seeds.
"""
