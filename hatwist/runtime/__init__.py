"""One node at work: links, timers, the keeper of its resources and what it remembers. It is given its reactor."""
