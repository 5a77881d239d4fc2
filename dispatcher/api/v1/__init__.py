"""Version 1 of the API: one file per kind of thing, models beside the operations that use them."""
