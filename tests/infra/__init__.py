"""The deployment, as synthesized: nothing here reaches AWS."""
