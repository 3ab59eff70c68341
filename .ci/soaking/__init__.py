"""What `.ci/soak` is made of: the tenants, the service, its configuration, and the judge."""
