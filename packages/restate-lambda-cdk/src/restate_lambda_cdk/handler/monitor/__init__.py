"""The scheduled function that looks for stuck invocations.

stuck.py is the question, and unfinished.sql the query that it is about; durations.py asks how long handlers took.
look.py asks both and publishes the answers as metrics. What talks to Restate, and reads the API key, is the
registration's.
"""
