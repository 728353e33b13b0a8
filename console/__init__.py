"""The console: the operator's page on this machine's loopback, with the operator's own AWS credentials.

``dossier console`` starts it (``cli/console.py``). A page shows what the commands print, and an action calls the step
that the command of the same name calls. ``docs/console.md`` describes the screens and what protects them.

=============  =====================================================================================
``app``        the routes
``security``   who may ask at all: loopback, host, session, origin, CSRF; the headers of every answer
``audit``      the trail of actions in S3
``desk``       what a page works with
``actions``    what an operator may do to one case, or to many (``bulk``)
``previews``   files of vendors and callers, shown so that nothing in them can act
=============  =====================================================================================

Each other module is a page.
"""
