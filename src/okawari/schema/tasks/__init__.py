"""What is to be predicted, one file for each kind of task."""
