"""The steps of a case, one module for each verb. A step may run twice, and may die at any instruction."""
