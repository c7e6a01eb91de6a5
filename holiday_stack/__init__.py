"""What is deployed: the holiday's stack and its constructs. The code of its functions is in lambdas/."""
