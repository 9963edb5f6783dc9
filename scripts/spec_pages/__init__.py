"""The pages that come from the specification's data, and the checks that prose, data and tests agree."""
