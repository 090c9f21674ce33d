"""Does GA4 show what the export holds, and where not, why?"""
