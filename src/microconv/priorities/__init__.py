"""What to do first: ideas from all findings, weighed by what they bring, how sure that is, what they cost and risk."""
