"""What is added to a regressor: terms on its features, weights of samples, calibration of features. Plain PyTorch."""
