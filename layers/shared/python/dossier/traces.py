"""One trace a case: what Dossier sends and starts carries the trace that the case began in.

Lambda gives each invocation the header of its trace. A message with the header ``AWSTraceHeader`` links the function
that gets it to that trace, and an execution that is started with a trace header continues it. A case's own header is
stored with it, so that polls and later collections belong to the trace of its first execution.
https://docs.aws.amazon.com/xray/latest/devguide/xray-services-sqs.html
"""

import os


def linked() -> bool:
    """Return whether the stage links traces (the setting ``tracing_layer_arn``)."""
    return bool(os.environ.get("DOSSIER_TRACES"))


def current() -> str | None:
    """Return the header of this invocation's trace, if the stage links traces and X-Ray samples this one."""
    header = os.environ.get("_X_AMZN_TRACE_ID", "")
    return header if linked() and "Sampled=1" in header else None
