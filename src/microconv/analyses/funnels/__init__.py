"""Funnels: who takes the steps, how long that takes, and where the others went."""
