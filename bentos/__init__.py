"""The serving application: a BentoML service over the model store. Of this project it imports only `okawari`."""
