"""How each kind of file holds rows."""
