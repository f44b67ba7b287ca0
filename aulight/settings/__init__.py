"""What can be set: a class for each group of ``conf/`` and for each command, which checks what it is given."""
