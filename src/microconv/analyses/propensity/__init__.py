"""How likely an actor is to reach a goal: chances by what was done before, held against what then happened."""
