"""Mutants that no check can find, since they compute the same; each with the reason."""

# (file, function, the line as it was, as it became): why nothing changes
EQUIVALENT: dict[tuple[str, str, str, str], str] = {}
