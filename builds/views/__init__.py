"""The pages of builds."""
