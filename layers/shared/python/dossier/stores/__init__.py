"""What Dossier keeps in AWS, and the only modules (with ``bootstrap``) that know boto3."""
