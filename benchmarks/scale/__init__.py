"""A portal's database filled as if it had been used for years, and what its pages cost then."""
