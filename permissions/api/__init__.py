"""The API's doors for people: who is calling, their tokens."""
