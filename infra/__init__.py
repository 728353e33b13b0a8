"""The AWS CDK app: constructs are nouns that own resources, the stack composes them and grants."""
