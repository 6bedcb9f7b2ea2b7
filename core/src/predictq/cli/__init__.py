"""The `predictq` command. Members add their sub-commands by the entry point `predictq.commands`."""
