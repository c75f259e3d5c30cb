"""The report: one HTML file that opens from disk and says what the numbers say."""
