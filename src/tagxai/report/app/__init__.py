"""The app: the page beside a rail where clips are asked for, explained, edited, contrasted and compared."""
