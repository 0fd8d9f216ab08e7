"""The traffic kind `traefik`: one proxy on this host, told by files, asked through its own API."""
