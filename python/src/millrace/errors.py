"""What cannot be carried into a bundle."""


class NotSupported(ValueError):
    """A model, or a step before it, that a bundle cannot hold. Nothing has been written."""
