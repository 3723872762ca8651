"""Docker and the Dagger engine on this machine."""
