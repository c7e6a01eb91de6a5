"""What is deployed: the stack, and the Restate constructs that it is made of. Lambda code is in lambdas/."""
