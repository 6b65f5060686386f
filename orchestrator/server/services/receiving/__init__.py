"""What other systems send: deliveries of webhooks, pings."""
