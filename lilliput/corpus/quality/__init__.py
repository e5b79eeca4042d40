"""How good a document is: trained classifiers, annotations by a language model, thresholds."""
