"""Lost answers, at vendors that rename, misdate and list late."""
