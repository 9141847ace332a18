"""Couples: two or more clients, and the joint view that all of them have to agree to."""
