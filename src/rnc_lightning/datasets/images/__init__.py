"""Images: files, decoding, cache, crops, colours, views, corruptions."""
