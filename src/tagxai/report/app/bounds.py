"""What a visitor may ask for at most; everything that grows has a bound."""

PROMPT = 500
"""Characters of a prompt."""
SECONDS = 30.0
"""Seconds of a clip, where the model makes longer ones."""
BODY = 16_384
"""Bytes of a request's body."""
QUEUE = 20
"""Jobs that wait or run, of all visitors together."""
BATCH = 8
"""Jobs that run together."""
TAKES = 20
"""Takes of a visitor that are kept; the oldest is forgotten."""
VISITS = 24
"""Visitors; one who has left is forgotten first."""
ENDED = 4
"""Jobs that failed or were cancelled which a visitor still sees."""
AWAY = 20.0
"""Seconds after which the jobs of a visitor who has left are cancelled."""
