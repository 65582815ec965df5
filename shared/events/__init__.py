"""The contract: every event that an office posts, every receipt and every fact, as pydantic models and nothing else."""
