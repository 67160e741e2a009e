"""The binary interface: all that user space, kernel space and the engine share.

It knows the names, numbers and shapes of things, and nothing of what is done with them.
Importing this package loads nothing; each file is imported by those who need it.
"""
