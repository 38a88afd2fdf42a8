"""The application that serves: a BentoML service over the model store. Knows the core (`okawari`) and nothing else."""
