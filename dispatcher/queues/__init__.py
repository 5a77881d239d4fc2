"""Wake-ups: arq, by name."""
