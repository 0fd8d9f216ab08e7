"""Templates: the library, choosing, merging, and a project that follows one."""
