"""The paper's tables, figures and claims, rendered from records alone: no model, no dataset and no GPU is read."""
