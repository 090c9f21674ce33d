"""What a query is made of: templates, conditions, patterns."""
