"""Who follows clusters of kind `kubernetes`: one thread with one loop in each watch process, one follower a cluster.

A follower belongs to the process that holds the cluster's lease. Its informers tell a ledger what they see, its writer
stores that in batches as rows; pages, API, gateway and engines read rows only.
"""
