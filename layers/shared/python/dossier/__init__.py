"""Dossier: sends documents to document-processing vendors and lands every result in S3.

The layers, inward: ``functions`` → ``steps`` → (``stores``, ``transport``, ``vendors``) → ``ports`` → ``models``,
``settings``, ``errors``. Building a vendor's request and reading its reply do no I/O (``vendors``); httpx lives in
``transport`` and ``network`` alone, boto3 in ``stores`` and ``bootstrap`` alone.
"""

import logging

TALKATIVE = ("httpx", "httpcore", "boto3", "botocore", "s3transfer", "urllib3")
"""Loggers that write URLs (signed ones), headers (keys) or bodies (documents) at INFO or DEBUG."""

for _name in TALKATIVE:
    # Here, where nothing can be imported before it: whatever level the root logger gets, these keep their secrets.
    logging.getLogger(_name).setLevel(logging.WARNING)
