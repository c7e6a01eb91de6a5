"""The scheduled function that looks for stuck invocations.

stuck.py is the question, and unfinished.sql the query that it is about; look.py asks it and publishes the answer as
metrics. What talks to Restate and reads the API key is the registration's.
"""
