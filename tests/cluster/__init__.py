"""A package, so that the fixtures of scope `package` end with the tests of this folder."""
