"""Git over smart HTTP as a plain ASGI application. It knows no models: people, permissions and pushes are callables."""
