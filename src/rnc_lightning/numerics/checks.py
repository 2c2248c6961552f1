"""Checks of arguments that many constructors share."""


def check_whole_number(name: str, value: object, least: int) -> None:
    """Refuse anything but a whole number from `least` up.

    Args:
        name: The argument, for the message.
        value: Its value; booleans are refused, although Python counts them as whole numbers.
        least: The smallest allowed value.

    Raises:
        ValueError: For any other value.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number from {least} up, got {value}")
