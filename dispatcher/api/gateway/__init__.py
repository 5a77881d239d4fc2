"""A door that speaks Meta's own API, for clients that change nothing but their base address and their token."""
