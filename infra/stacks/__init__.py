"""The four stacks, by lifetime: an account's access, the images, a stage's data, and its service."""
