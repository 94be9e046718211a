"""The same image name gives every machine the image that was built for its hardware."""

__version__ = "0.1.0"
