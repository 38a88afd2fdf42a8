"""The contract of a case's table: what its columns mean, held against everything that arrives."""
