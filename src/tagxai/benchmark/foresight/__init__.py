"""What a benchmark will do, before it does it: its cells, what cannot run, and by a short trial its time and memory."""
