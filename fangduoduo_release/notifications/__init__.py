"""Who is told what, through which driver: written down by actions, sent by the worker, never in anybody's way."""
