"""What runs on this machine: the local AWS, and the sandbox of the vendors."""
