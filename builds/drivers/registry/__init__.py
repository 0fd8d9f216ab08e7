"""How the portal asks image registries what they hold."""
