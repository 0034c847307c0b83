"""A local AWS environment: MiniStack plus the features that deploying the workload needs."""
