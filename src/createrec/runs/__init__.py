"""One run from the plan to its record: training and evaluation meet here, and know nothing of each other."""
