"""HTTP clients of the servers, and the wire types that they share."""
