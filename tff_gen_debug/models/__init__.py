"""Pure models: networks, losses and classifiers, without any process."""
