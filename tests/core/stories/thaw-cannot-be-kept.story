task web
start
supctl freeze web
at 1s disk full
supctl thaw web
at 2s expect reply "warning: it is undone, but that could not be kept: it is frozen again after a boot"
