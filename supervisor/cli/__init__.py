"""The program `supctl`. It never imports the parent; a verb's own module is all that it loads."""
