"""Django looks for template tag libraries here; `portal` is the only one."""
