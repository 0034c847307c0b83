"""What can be wrong with a stage, a context key or the place to deploy to; a command prints the message and exits 1."""


class ConfigurationError(Exception):
    """The input is wrong in a way that one line can say."""


class UnknownStageError(ConfigurationError):
    """The name is no stage."""


class StageError(ConfigurationError):
    """A field of a stage holds what cannot work."""


class ContextError(ConfigurationError):
    """A `-c key=value` is missing, misspelt or malformed."""


class TargetError(ConfigurationError):
    """The account or region is missing, or two sources contradict each other."""
