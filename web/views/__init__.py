"""One file a page; each view reads what it needs through a panel and renders one template."""
