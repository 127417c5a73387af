"""Make children: the spawner, fork and clone, the steps before the exec, and the parts that outlive the parent."""
