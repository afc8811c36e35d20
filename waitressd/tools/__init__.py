"""The commands that ask a running server: ``waitressd top``, ``requests``, ``ready`` and their like.

They know addresses, HTTP and the documents of the admin address, and nothing of the server: it may be of another
version, or no waitressd at all. The server never imports them.
"""
