"""AWS infrastructure of the workload, as a CDK app."""
