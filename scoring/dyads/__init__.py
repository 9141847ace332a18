"""Two people on one scale: how far apart they are, whether that changed, and how alike their profiles are.

A discrepancy or a similarity that is shown to one partner tells the other's answers: it needs the consent of both.
"""
