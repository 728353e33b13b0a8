"""The vendors' sandbox: one strict local server that speaks the APIs of Docsumo, DocuStack and the Ombudsman partner.

``python -m local.sandbox --port 4780 [--state FOLDER]`` serves ``/docsumo``, ``/docustack``, ``/ombudsman``, the
signed storage under ``/storage`` and the operator's own API under ``/_sandbox``. Paths, fields, statuses and bodies are
those of the vendors' integration guides; what a guide does not allow is refused. Results are made up, but always the
same for the same file.

A file whose name contains ``unreadable`` fails: the document is ``failed`` at DocuStack, ``processing_failed`` at the
Ombudsman and ``erred`` at Docsumo. Failures can so be shown without a fault.

``GET /_sandbox/`` answers with a list of what an operator can do; ``faults.py`` lists what can go wrong on purpose.
"""
