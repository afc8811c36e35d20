"""Other people's servers and clients, as they are installed on the machine."""
