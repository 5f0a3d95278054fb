"""What is measured, one part a file. Each has `measure(bench)` and yields lines of the report."""
