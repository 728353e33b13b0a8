"""What AWS would say before it deploys: checked on this machine, and with an account's own validators (``cloud``)."""
