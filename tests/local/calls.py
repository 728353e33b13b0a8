"""A function that makes the AWS call of its event."""

CALLS = """
    import boto3

    def handle(event, context):
        getattr(boto3.client(event["service"]), event["call"])(**event["given"])
"""
