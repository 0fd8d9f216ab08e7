"""What a review of the whole found: each mistake once, so that it does not come back."""
