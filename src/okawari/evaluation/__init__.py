"""How good an answer is: metrics, scores, candidates, variants, and the join of predictions with their truth."""
