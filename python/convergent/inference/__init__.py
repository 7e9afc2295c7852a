"""How sure a number is: intervals over networks, pairs and examples, permutation nulls, noise ceilings."""
