"""The least that a webhook can be: a function that checks the signature and sends a message."""
