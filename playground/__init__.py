"""A local AWS environment: MiniStack plus the features that deploying the comment service needs."""
