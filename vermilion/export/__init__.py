"""A model as files that run without Vermilion: ONNX, a script, a page for the browser."""
