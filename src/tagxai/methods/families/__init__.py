"""What several methods share: a base class for each family."""
