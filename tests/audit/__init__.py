"""The audit trail: what is written, what is found when it was tampered with, who reads it."""
