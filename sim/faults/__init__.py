"""Fault injection: stand-ins in processes of their own, and a measurement of how soon the arm stops for each fault."""
