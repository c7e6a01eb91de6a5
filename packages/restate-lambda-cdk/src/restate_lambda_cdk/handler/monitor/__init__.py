"""The scheduled function that looks for stuck invocations.

stuck.py makes the query, on top of unfinished.sql; durations.py queries how long handlers took. check.py runs both and
publishes the results as metrics. The client of the admin API and of Secrets Manager is the registration's.
"""
