"""Each grant of each role is taken away on the deployed local AWS, and a case that needs it fails."""
