"""What every API door shares: safe parsing, cursor pages, one error mapping, idempotent writes."""
