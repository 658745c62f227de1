"""What a node finds out about itself and its surroundings, besides the heartbeats of others."""
