"""The local stack: the programs of one machine and their supervisor."""
