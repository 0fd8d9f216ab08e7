"""The Jenkins driver, against recordings, faults and a simulated Jenkins."""
