"""AWS infrastructure of the comment service, as a CDK app."""
