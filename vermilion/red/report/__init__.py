"""The report of a run: report.html and what the screen says of its parts."""
