"""The holiday saga: four Restate services, in plain Python. Start reading at trips.py."""
