"""What people are told: the drivers against real servers and simulators, the outbox, the engine, the pages."""
