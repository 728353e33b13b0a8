"""The fault suite: whole cases on the deployed local AWS, against vendors that misbehave in every way at once."""
