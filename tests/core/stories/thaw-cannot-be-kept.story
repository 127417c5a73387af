task web
start
supctl freeze web
at 1s disk full
supctl thaw web
at 2s expect reply "warning: thawed, but that could not be saved, so it is frozen again after a boot"
