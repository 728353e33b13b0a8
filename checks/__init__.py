"""AWS's checks before a deployment: on this machine, and with an account's own validators (``cloud``)."""
