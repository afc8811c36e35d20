"""HTTP/1.1 octet by octet: small files that say what is sent and what must come of it."""
