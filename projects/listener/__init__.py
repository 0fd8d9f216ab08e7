"""Who listens to servers with repositories: one thread with one loop in each watch process, one ear a connection.

An ear belongs to the process that holds the connection's lease. What is heard becomes inbox rows through `pushes.take`;
what could not be heard is found by comparing tips, after every (re)connect and every few minutes.
"""
