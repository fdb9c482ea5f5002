"""For authors of plugins: a new package from templates, and a report on a package that is installed."""
