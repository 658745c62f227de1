"""What a node holds while it is ACTIVE: one module for each kind of resource."""
