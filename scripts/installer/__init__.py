"""Puts metahub on a node for good, and takes it away without a trace.

`facts` looks at the node, `plan` says purely what is wanted there, `difference` what is
left to do, `carry_out` does it with the `journal` that `undo` needs. Runs before any
environment exists, so on the standard library alone.
"""
