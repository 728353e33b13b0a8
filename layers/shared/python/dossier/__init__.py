"""Dossier: sends documents to document-processing vendors and stores every result in S3.

The layers, inward: ``functions`` → ``steps`` → (``stores``, ``transport``, ``vendors``) → ``ports`` → ``models``,
``settings``, ``errors``. Building a vendor's request and reading its reply do no I/O (``vendors``). Only ``transport``
and ``network`` import httpx; only ``stores`` imports boto3.
"""

import logging

TALKATIVE = ("httpx", "httpcore", "boto3", "botocore", "s3transfer", "urllib3")
"""Loggers that log signed URLs, headers with keys or documents at INFO or DEBUG."""

for _name in TALKATIVE:
    # Set before anything else can be imported, so that no level of the root logger makes them log secrets.
    logging.getLogger(_name).setLevel(logging.WARNING)
