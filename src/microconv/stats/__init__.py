"""Statistics: sums and small tables in, results out; no SQL, no engine."""
