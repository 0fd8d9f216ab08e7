"""Kind `gerrit`: repositories on a Gerrit server, read over REST and fetched over HTTP; its events come over SSH."""
