"""The AWS CDK app: constructs own resources, and the stack composes them."""
