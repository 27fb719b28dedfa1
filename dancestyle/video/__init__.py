"""Reading and writing video: files in, uint8 RGB arrays out, and back."""
