"""HTTP to vendors and storage, over httpx. It never retries; it maps each failure to an error of the tree.

``client`` sends requests to vendors' APIs, ``downloads`` reads artifacts from storage. ``urls`` says which URLs are
opened, ``decoding`` reads bodies within limits, ``failures`` maps what httpx raises.

No answer is trusted: answers and artifacts have limits of size and time, compressed ones are decompressed piece by
piece, URLs are only followed to allowed hosts at public addresses (``dossier.network``), and a key is never in what is
returned or raised.
"""

from dossier.transport.client import Keys, Transport, Turns
from dossier.transport.downloads import Download

__all__ = ["Download", "Keys", "Transport", "Turns"]
