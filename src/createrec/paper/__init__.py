"""The paper's tables, figures and claims, rendered from records alone: no model, no data set and no GPU is read."""
