"""The sandbox of the vendors: one strict local server with the APIs of Docsumo, DocuStack and the Ombudsman partner.

``python -m local.sandbox --port 4780 [--state FOLDER]`` serves ``/docsumo``, ``/docustack``, ``/ombudsman``, the
signed storage under ``/storage`` and the operator's API under ``/_sandbox``. Paths, fields, statuses and bodies follow
the vendors' integration guides; the sandbox rejects requests that a guide does not allow. Results are generated, and
always the same for the same file.

A file whose name contains ``unreadable`` fails: the document is ``failed`` at DocuStack, ``processing_failed`` at the
Ombudsman and ``erred`` at Docsumo. This shows failures without a fault.

``GET /_sandbox/`` lists the operator's requests; ``faults.py`` describes the faults.
"""
