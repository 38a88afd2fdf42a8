"""What data and answers look like: columns, features, transforms, heads and tasks."""
