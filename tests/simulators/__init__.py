"""Other systems as their documentation has them, on real sockets, for tests of the drivers that speak to them."""
