"""The steps of a case, one module per verb. A step may run twice, and may die at any instruction."""
