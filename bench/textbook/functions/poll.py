"""Poll: ask the vendor once."""

import vendors


def handler(job, _context):
    """Return the job, done or not."""
    return {**job, **vendors.poll(job["vendor"], job)}
