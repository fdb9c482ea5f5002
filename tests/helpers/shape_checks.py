"""The type checker behind jaxtyping's import hook: beartype, for which a float may be an int, as for mypy."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
