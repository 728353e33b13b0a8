"""The local AWS, and the sandbox of the vendors."""
