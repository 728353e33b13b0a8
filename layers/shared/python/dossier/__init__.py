"""Dossier: sends documents to document-processing vendors and lands every result in S3.

The layers, inward: ``functions`` → ``steps`` → (``stores``, ``transport``, ``vendors``) → ``ports`` → ``models``,
``settings``, ``errors``. Building a vendor's request and reading its reply do no I/O (``vendors``); httpx lives in
``transport`` alone, boto3 in ``stores`` and ``bootstrap`` alone.
"""
