"""Everything that puts prediction requests on a topic: submit routes, the intake, the client."""
