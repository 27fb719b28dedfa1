"""Dense optical flow: methods that compute it, files that hold it."""
