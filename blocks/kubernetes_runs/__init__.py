"""What the kinds that use Kubernetes share."""
