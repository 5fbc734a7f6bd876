"""Helpers every test may import; fixtures are in remit_testing.fixtures."""
