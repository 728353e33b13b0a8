"""Dossier's data in AWS. Only these modules import boto3."""
