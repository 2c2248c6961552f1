"""MPIIFaceGaze in its three layouts."""
