"""How far a sum of bounded vectors moves between neighbouring populations."""

# In units of the bound on their L2 norm: one vector comes or goes, or one is
# exchanged for its opposite.
SENSITIVITY_FACTORS = {"add_or_remove_one": 1.0, "replace_one": 2.0}
