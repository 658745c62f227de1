"""L{hatwist.service.service.HAService}, and what its node is made of."""
