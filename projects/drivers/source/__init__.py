"""The source family: where repositories live. `base` is the contract, every other module one kind of it."""
