"""The program `supctl`. It never imports the parent, and loads only the module of the verb."""
