"""Dossier's data in AWS. Only these modules and ``bootstrap`` import boto3."""
