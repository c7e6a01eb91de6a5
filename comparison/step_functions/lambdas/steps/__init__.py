"""What runs in Lambda: the front door, and a function for each step and undo of the workflow."""
