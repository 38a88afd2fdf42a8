"""How good an answer is: metrics, scores, contests, variants and the join with the truth."""
