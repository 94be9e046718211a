"""The bench: what a pull costs through the addon, side by side with the other ways."""
